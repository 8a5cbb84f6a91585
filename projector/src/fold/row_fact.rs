//! ◆ Pure: what one event states about one row.

use std::time::Duration;

use schemas::{AccountId, Channel, ContactId, ConversationId, EventId, Fact, Kind, Timestamp, Via};

use super::slot::Slot;
use super::version::Version;

/// As much may Meta's clock be ahead of the broker's; the time of a message beyond that is a mistake.
const META_AHEAD_MAX: Duration = Duration::from_secs(600);

/// What an event states, as long as it is not withdrawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// The person, where one is known.
    pub(crate) contact_id: Option<ContactId>,
    /// The event's time is that of its delivery.
    pub(crate) time_approximate: bool,
    /// Another app owns the conversation.
    pub(crate) standby: bool,
    /// The account wrote to itself.
    pub(crate) is_self: bool,
    /// Where the event came from.
    pub(crate) via: Via,
    /// The event's fact; of a reply only the one part that made this message.
    pub(crate) fact: Fact,
}

impl Statement {
    /// The conversation of its person.
    pub(crate) fn conversation_id(&self) -> Option<ConversationId> {
        self.contact_id
            .as_ref()
            .map(|contact| ConversationId::of(self.channel, &self.account_id, contact))
    }
}

/// What one event states about one row: a row of table `facts`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowFact {
    /// The event.
    pub(crate) event_id: EventId,
    /// The id of the row: see [`Class`](super::Class).
    pub(crate) entity: String,
    /// The kind of the event.
    pub(crate) kind: Kind,
    /// When it happened.
    pub(crate) time: Timestamp,
    /// Which reading of the event this is.
    pub(crate) version: Version,
    /// `None` once the event was withdrawn.
    pub(crate) statement: Option<Statement>,
}

impl RowFact {
    /// The aspect of the row that it is about.
    pub(crate) const fn slot(&self) -> Slot {
        Slot::of(self.kind)
    }

    /// (time, id): the order of "the latest" in docs/contract.md 8.
    pub(crate) fn moment(&self) -> (Timestamp, &EventId) {
        (self.time, &self.event_id)
    }

    /// (revision, source rank, digest), then the id: the order of "the best" in docs/contract.md 8.
    pub(crate) fn precedence(&self) -> (&Version, &EventId) {
        (&self.version, &self.event_id)
    }

    /// It was stored at `at`. An act of a person on our side is published when it is done, so a later time is that of a clock that is wrong:
    /// it would outdo every act, and hide every message, until then.
    pub(crate) fn bound(&mut self, at: Timestamp) {
        let Some(statement) = &mut self.statement else { return };
        if statement.via != Via::Api {
            return;
        }
        self.time = self.time.min(at);
        let seen = match &mut statement.fact {
            Fact::ConversationRead(read) => &mut read.last_message_at,
            Fact::ConversationSnoozed(snooze) => &mut snooze.last_message_at,
            _ => return,
        };
        *seen = seen.filter(|last| *last <= at.plus(META_AHEAD_MAX));
    }

    /// The same without its statement.
    #[must_use]
    pub(crate) fn withdrawn(mut self) -> Self {
        self.statement = None;
        self
    }
}

/// A fact that was not withdrawn, with its statement.
pub(crate) type Standing<'a> = (&'a RowFact, &'a Statement);

/// The facts that were not withdrawn, in no particular order.
pub(crate) fn standing(facts: &[RowFact]) -> impl Iterator<Item = Standing<'_>> {
    facts.iter().filter_map(|fact| fact.statement.as_ref().map(|statement| (fact, statement)))
}

/// The facts that were not withdrawn, the earliest first.
pub(crate) fn by_moment(facts: &[RowFact]) -> Vec<Standing<'_>> {
    let mut all: Vec<_> = standing(facts).collect();
    all.sort_by_key(|(fact, _)| fact.moment());
    all
}

/// The facts that were not withdrawn, the best first.
pub(crate) fn by_precedence(facts: &[RowFact]) -> Vec<Standing<'_>> {
    let mut all: Vec<_> = standing(facts).collect();
    all.sort_by(|a, b| b.0.precedence().cmp(&a.0.precedence()));
    all
}

/// The latest fact of a slot that was not withdrawn.
pub(crate) fn latest(facts: &[RowFact], slot: Slot) -> Option<Standing<'_>> {
    standing(facts).filter(|(fact, _)| fact.slot() == slot).max_by_key(|(fact, _)| fact.moment())
}
