//! ◆ Pure: what Graph shows, compared with what is known.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use facts::accounts::directory::Account;
use facts::accounts::field_of;
use facts::{Draft, ids};
use graph::{Conversation, ConversationPage};
use outbound::conversation_drafts;
use schemas::{EventId, Kind, MessageId, Timestamp, Via};

/// So many messages that no webhook has reported are no accident.
const UNREPORTED_MAX: usize = 3;
const HOUR_MS: i64 = 3_600_000;

/// Which messages a comparison is about, by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Looked at from here on.
    pub(super) look_from: Timestamp,
    /// Counted from here on: what was made before was counted by the comparisons before.
    pub(super) count_from: Timestamp,
    /// Up to here: what is newer may be under way.
    pub(super) to: Timestamp,
}

impl Span {
    fn has(&self, time: Timestamp) -> bool {
        self.look_from <= time && time < self.to
    }

    /// Its hour was counted without it.
    pub(super) fn is_late(&self, time: Timestamp) -> bool {
        time < self.count_from
    }
}

/// How a message is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A webhook brought it, or gave the occasion to look it up.
    Webhook,
    /// It is our own reply, which no webhook needs to have reported.
    Reply,
    /// It was read from a list of Graph's.
    Graph,
}

/// How messages are known, by the ids of their events; without those that are not.
pub(super) type Known = HashMap<EventId, By>;

/// A message that Graph shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) message_id: MessageId,
    pub(super) event_id: EventId,
    pub(super) time: Timestamp,
    /// Which kind of event it is; `None` where only its id is shown.
    pub(super) kind: Option<Kind>,
}

/// A conversation, as far as a comparison is about it.
#[derive(Clone, Debug, PartialEq)]
struct Thread {
    discovery: Option<Draft>,
    messages: Vec<(Shown, Option<Draft>)>,
}

/// A page of the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Page {
    threads: Vec<Thread>,
    /// The cursor of the next page; none where that reaches back before the span.
    pub(super) next: Option<String>,
}

/// What is missing of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Missing {
    /// What heals it, people before their messages.
    pub(super) drafts: Vec<Draft>,
    /// Messages of these drafts.
    pub(super) readable: Vec<Shown>,
    /// Messages of which Graph returns the id alone.
    pub(super) unreadable: Vec<Shown>,
}

impl Page {
    /// What of a page is in the span.
    pub(super) fn read(account: &Account, page: ConversationPage, span: Span) -> Self {
        let is_older = |one: &Conversation| one.updated_time.is_some_and(|at| at < span.look_from);
        let ends = page.conversations.iter().any(is_older);
        let threads = page.conversations.iter().filter(|one| !is_older(one));
        Self {
            threads: threads.filter_map(|one| Thread::read(account, one, span)).collect(),
            next: page.next.filter(|_| !ends),
        }
    }

    /// The messages.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.threads.iter().flat_map(|thread| &thread.messages).map(|(shown, _)| shown)
    }

    /// What of it is not known.
    pub(super) fn missing(&self, known: &Known) -> Missing {
        let mut missing = Missing::default();
        for thread in &self.threads {
            let mut discovery = thread.discovery.clone();
            for (shown, draft) in &thread.messages {
                if known.contains_key(&shown.event_id) {
                    continue;
                }
                let Some(draft) = draft else {
                    missing.unreadable.push(shown.clone());
                    continue;
                };
                missing.drafts.extend(discovery.take());
                missing.drafts.push(draft.clone());
                missing.readable.push(shown.clone());
            }
        }
        missing
    }
}

impl Thread {
    /// `None`: it is nobody's, or nothing of it is in the span.
    fn read(account: &Account, conversation: &Conversation, span: Span) -> Option<Self> {
        let drafts = conversation_drafts(account, conversation, Via::Reconcile).ok()?;
        let mut thread = Self { discovery: None, messages: Vec::new() };
        for draft in drafts {
            let Some(message) = draft.messages.first() else {
                thread.discovery = Some(draft);
                continue;
            };
            let shown = Shown {
                message_id: message.message_id.clone(),
                event_id: draft.event.id.clone(),
                time: draft.event.time,
                kind: Some(draft.event.kind()),
            };
            if span.has(shown.time) {
                thread.messages.push((shown, Some(draft)));
            }
        }
        for bare in conversation.messages.iter().filter(|message| !message.detailed) {
            let Some(time) = bare.created_time.filter(|time| span.has(*time)) else { continue };
            let event_id = ids::message(account.channel, &account.id, bare.id.as_str());
            let message_id = bare.id.clone();
            thread.messages.push((Shown { message_id, event_id, time, kind: None }, None));
        }
        (!thread.messages.is_empty()).then_some(thread)
    }
}

/// The hour in which a message was made.
pub(super) fn hour(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(HOUR_MS) * HOUR_MS)
}

/// How many messages are to be counted in each hour: each once, however often a page had it.
pub(super) fn by_hour(seen: &HashMap<EventId, Compared>, span: Span) -> BTreeMap<Timestamp, i64> {
    let mut hours = BTreeMap::new();
    for one in seen.values().filter(|one| !span.is_late(one.time)) {
        *hours.entry(hour(one.time)).or_default() += 1;
    }
    hours
}

/// A message that was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) time: Timestamp,
    /// The webhook field that brings it, of what a person wrote.
    pub(super) field: Option<&'static str>,
    /// How it was known; `None`: it was not.
    pub(super) by: Option<By>,
}

impl Compared {
    pub(super) fn of(account: &Account, shown: &Shown, known: &Known) -> Self {
        // Echoes are not subscribed everywhere, and replies of ours need none.
        let inbound = shown.kind.filter(|kind| *kind == Kind::MessageReceived);
        let field = inbound.and_then(|kind| field_of(account.channel, kind));
        Self { time: shown.time, field, by: known.get(&shown.event_id).copied() }
    }
}

/// A webhook field by which nothing comes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) field: String,
    /// The oldest message that it should have brought.
    pub(super) since: Timestamp,
}

/// Whether a field is lost: Graph shows messages behind the newest one that a webhook of the field has brought, and more than chance
/// explains. What was lost `before` stays so until a webhook of the field has come.
pub(super) fn lost(
    seen: &HashMap<EventId, Compared>,
    watched_from: Timestamp,
    before: Option<Lost>,
    every: Duration,
    now: Timestamp,
) -> Option<Lost> {
    let mut fields: BTreeMap<&str, (Option<Timestamp>, Vec<Timestamp>)> = BTreeMap::new();
    for one in seen.values() {
        let Some(field) = one.field else { continue };
        let (newest, unreported) = fields.entry(field).or_default();
        match one.by {
            Some(By::Webhook) => *newest = (*newest).max(Some(one.time)),
            Some(By::Reply) => {}
            Some(By::Graph) | None if watched_from <= one.time => unreported.push(one.time),
            Some(By::Graph) | None => {}
        }
    }
    let found = fields.iter().filter_map(|(field, (newest, unreported))| {
        let behind: Vec<Timestamp> =
            unreported.iter().copied().filter(|time| newest.is_none_or(|at| at < *time)).collect();
        let since = behind.iter().copied().min()?;
        let is_lost = UNREPORTED_MAX <= behind.len() || every <= now.since(since);
        is_lost.then(|| Lost { field: (*field).to_owned(), since })
    });
    let found = found.min_by_key(|lost| lost.since);
    let back = |before: &Lost| {
        let newest = fields.get(before.field.as_str()).and_then(|(newest, _)| *newest);
        newest.is_some_and(|at| before.since < at)
    };
    match before.filter(|before| !back(before)) {
        Some(before) if found.as_ref().is_none_or(|found| before.since <= found.since) => {
            Some(before)
        }
        _ => found,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
