//! ◆ Pure: the ladder of docs/contract.md 5: what to do next about a waiting item, given everything known about it. Only evidence
//! that names this message id gives an author; a thread is a hint; the newest or only conversation is never used.

use std::time::Duration;

use schemas::facts::TriedMethod;
use schemas::{ContactId, Timestamp};

use super::evidence::{Author, Item, Look, Method, State};
use graph::{Class, FoundMessage};

/// How long a rate limit may put off the first pass before the wait is made visible as `sender.unresolved`.
const LIMITED_MAX: Duration = Duration::from_secs(60);
/// How long an item is retried on schedule; later only an event that reveals its sender wakes it.
const RETRIED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// What was gathered for one pass.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Author by our own index of messages.
    pub known: Option<Author>,
    /// People with messages in the same thread: two are as good as many.
    pub thread: Vec<ContactId>,
    /// Whether the account may be asked about at all: listed, not stopped, its token opens.
    pub graph: bool,
    /// The look by mid.
    pub message: Option<Look>,
    /// Whether the same account is connected by the other login too.
    pub other_login: bool,
    /// The look by mid on the other host.
    pub other_host: Option<Look>,
    /// The search through the newest threads.
    pub scan: Option<Look>,
}

/// An author was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// Whose message it is.
    pub author: Author,
    /// How that was found.
    pub method: Method,
    /// What Graph says about the message.
    pub content: Option<FoundMessage>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ask Graph by mid.
    AskMessage,
    /// Ask Graph's other host by mid.
    AskOtherHost,
    /// Search the newest threads for the mid.
    AskScan,
    /// The message came by itself: only `sender.unresolved`, where it stands, is to be withdrawn.
    CameByItself(Author),
    /// Publish it under its author.
    Settle(Box<Settled>),
    /// The rate limit comes first: again after this time, nothing is published yet.
    Defer(Duration),
    /// Nobody knows; the person, where a hint names one.
    Unresolved(Option<ContactId>),
}

/// The next step.
pub fn next(item: &Item, evidence: &Evidence, now: Timestamp) -> Step {
    if let Some(author) = evidence.known.clone() {
        match (item.state, item.num_edit) {
            // The index knows a message we published without content ourselves, too.
            (State::Content, 0) => {}
            (State::Content, _) | (_, 0) => return Step::CameByItself(author),
            _ => {
                let method = Method::KnownMessage;
                return settle(Settled { author, method, content: None });
            }
        }
    }
    let certain = item.certain();
    if let Some((author, method)) = certain.clone()
        && item.num_edit == 0
        && item.text.is_some()
    {
        return settle(Settled { author, method, content: None });
    }
    if evidence.graph && !item.gone {
        if let Some(step) = ask(item, evidence, now) {
            return step;
        }
        for (look, found_by) in looks(evidence) {
            if let Some(Look::Found(author, content)) = look {
                // Who the item itself names beats whom Graph names; Graph adds the content.
                let (author, method) = certain.unwrap_or((author.clone(), found_by));
                return settle(Settled { author, method, content: Some(content.clone()) });
            }
        }
    }
    match certain {
        Some((author, method)) => settle(Settled { author, method, content: None }),
        None => Step::Unresolved(hint(item, evidence)),
    }
}

fn settle(settled: Settled) -> Step {
    Step::Settle(Box::new(settled))
}

const fn looks(evidence: &Evidence) -> [(Option<&Look>, Method); 3] {
    [
        (evidence.message.as_ref(), Method::GraphMessage),
        (evidence.other_host.as_ref(), Method::GraphMessageOtherHost),
        (evidence.scan.as_ref(), Method::ConversationScan),
    ]
}

/// The next question to Graph; `None` when one found the message or all were asked.
fn ask(item: &Item, evidence: &Evidence, now: Timestamp) -> Option<Step> {
    let found = |look: &Option<Look>| matches!(look, Some(Look::Found(..)));
    if [&evidence.message, &evidence.other_host, &evidence.scan].into_iter().any(found) {
        return None;
    }
    // What the other connection met says nothing about this one.
    for look in [&evidence.message, &evidence.scan].into_iter().flatten() {
        let Look::Failed(error) = look else { continue };
        match error.class {
            // What is limited now would be limited on the next step too.
            Class::Limited(_) => {
                let early = now.since(item.received_at) < LIMITED_MAX;
                return early
                    .then(|| Step::Defer(error.retry_after.unwrap_or(Duration::from_secs(1))));
            }
            Class::Account => return None,
            _ => {}
        }
    }
    match (&evidence.message, &evidence.other_host, &evidence.scan) {
        (None, ..) => Some(Step::AskMessage),
        (Some(Look::Failed(error)), None, _)
            if error.is_server_failure() && evidence.other_login =>
        {
            Some(Step::AskOtherHost)
        }
        (_, _, None) => Some(Step::AskScan),
        _ => None,
    }
}

/// The person whose conversation it probably belongs to: an event that names the message but not who wrote it, or the one person
/// known in its thread.
pub fn hint(item: &Item, evidence: &Evidence) -> Option<ContactId> {
    match (&item.revealed_contact, evidence.thread.as_slice()) {
        (Some(contact), _) => Some(contact.clone()),
        (None, [one]) => Some(one.clone()),
        _ => None,
    }
}

/// Every method with its outcome, for `sender.unresolved` and as evidence.
pub fn tried(item: &Item, evidence: &Evidence) -> Vec<TriedMethod> {
    let outcome = |method: Method| -> (&'static str, Option<i64>) {
        let look = |look: &Option<Look>| match look {
            Some(look) => (look.outcome(), look.code()),
            None if item.gone => ("gone", None),
            None if !evidence.graph => ("unavailable", None),
            None => ("not_tried", None),
        };
        match method {
            Method::Payload if item.payload_contact.is_some() => ("found", None),
            Method::KnownMessage if evidence.known.is_some() && item.state != State::Content => {
                ("found", None)
            }
            Method::KnownMessage if item.settled_by.is_some() => ("nothing", None),
            Method::KnownMessage if item.revealed_direction.is_some() => ("found", None),
            Method::KnownMessage if item.revealed_contact.is_some() => ("hint", None),
            Method::Payload | Method::KnownMessage | Method::Twin => ("nothing", None),
            Method::ThreadId if item.thread_id.is_none() => ("unavailable", None),
            Method::ThreadId => match evidence.thread.len() {
                0 => ("nothing", None),
                1 => ("hint", None),
                _ => ("ambiguous", None),
            },
            Method::GraphMessage => look(&evidence.message),
            Method::GraphMessageOtherHost if !evidence.other_login => ("unavailable", None),
            Method::GraphMessageOtherHost => look(&evidence.other_host),
            Method::ConversationScan => look(&evidence.scan),
        }
    };
    let row = |method: Method| {
        let (outcome, code) = outcome(method);
        TriedMethod { method: method.as_str().to_owned(), outcome: outcome.to_owned(), code }
    };
    Method::ALL.into_iter().map(row).collect()
}

/// Whether Graph said that the message is gone: it is not asked again.
pub fn gone(item: &Item, evidence: &Evidence) -> bool {
    let reported =
        |look: &Option<Look>| matches!(look, Some(Look::Failed(error)) if error.message_is_gone());
    item.gone || reported(&evidence.message) || reported(&evidence.other_host)
}

/// When to go over the ladder again after a pass that left something open; `None`: only when an event reveals more.
pub fn again(
    item: &Item,
    evidence: &Evidence,
    now: Timestamp,
    min: Duration,
    max: Duration,
    jitter: f64,
) -> Option<Timestamp> {
    if gone(item, evidence) || RETRIED_FOR <= now.since(item.received_at) {
        return None;
    }
    let wait = looks(evidence).into_iter().filter_map(|(look, _)| match look {
        Some(Look::Failed(error)) => error.retry_after,
        _ => None,
    });
    let delay = runtime::retry::delay(min, max, item.attempts, jitter);
    Some(now.plus(wait.max().map_or(delay, |wait| wait.max(delay))))
}

/// Whether content that is missing may still be found.
pub fn content_may_come(item: &Item, evidence: &Evidence) -> bool {
    !gone(item, evidence)
        && (!evidence.graph
            || looks(evidence).into_iter().any(|(look, _)| look.is_some_and(Look::may_change)))
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
