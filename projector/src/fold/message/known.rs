//! ◆ Pure: the facts of one message, sorted by what they are good for.

use schemas::facts::Message;
use schemas::{ContactId, Fact, Kind, Timestamp, Via};

use super::bodies::{direction_of, is_original, message_of, sent_time};
use super::content::{Content, content};
use super::erase::is_erased;
use super::row::Direction;
use crate::fold::row_fact::{RowFact, Standing, Statement, by_precedence};

/// The facts of one message that hold, the best first.
pub(super) struct KnownMessage<'a> {
    pub(super) all: Vec<Standing<'a>>,
    /// Those that are the message itself: received, sent, postback, reply.
    pub(super) originals: Vec<Standing<'a>>,
    /// States that the sender is not known, in a conversation that is.
    unresolved: Option<Standing<'a>>,
    /// The message was unsent.
    pub(super) erased: bool,
}

impl<'a> KnownMessage<'a> {
    pub(super) fn from_facts(facts: &'a [RowFact]) -> Self {
        let all = by_precedence(facts);
        let originals = all.iter().copied().filter(|(fact, _)| is_original(fact.kind)).collect();
        let unresolved = all.iter().copied().find(|(fact, statement)| {
            fact.kind == Kind::SenderUnresolved && statement.contact_id.is_some()
        });
        Self { all, originals, unresolved, erased: is_erased(facts) }
    }

    /// The fact that says what the message is. A message that is known beats that its sender was not; with neither the row is a stub.
    pub(super) fn identity(&self) -> Option<Standing<'a>> {
        self.originals.first().copied().or(self.unresolved)
    }

    /// The fact that the row is made from; `None` where there is to be no row.
    pub(super) fn shown(&self) -> Option<Standing<'a>> {
        self.identity().or_else(|| {
            let first = self.all.iter().copied().min_by_key(|(fact, _)| fact.moment())?;
            let stub = self.all.iter().any(|(fact, _)| fact.kind != Kind::SenderUnresolved);
            stub.then_some(first)
        })
    }

    /// The person. Another fact than the one that decides the rest may be the one that names them.
    pub(super) fn contact_id(&self, shown: &Statement) -> Option<ContactId> {
        let others = || self.all.iter().find_map(|(_, statement)| statement.contact_id.clone());
        shown.contact_id.clone().or_else(others)
    }

    pub(super) fn direction(&self) -> Direction {
        self.originals.first().map_or(Direction::Unknown, |(fact, _)| direction_of(fact.kind))
    }

    /// When it was sent, and whether that is the time of a delivery: an exact time beats an approximate one.
    pub(super) fn sent(&self, shown: Standing<'a>) -> (Timestamp, bool) {
        let exact = self.originals.iter().find(|(_, statement)| !statement.time_approximate);
        let (fact, statement) = exact.copied().unwrap_or(shown);
        (sent_time(fact), statement.time_approximate)
    }

    pub(super) fn first_time_of(&self, kind: Kind) -> Option<Timestamp> {
        self.all.iter().filter(|(fact, _)| fact.kind == kind).map(|(fact, _)| fact.time).min()
    }

    pub(super) fn content(&self) -> Content {
        if self.erased { Content::default() } else { content(&self.all, &self.originals) }
    }

    /// Whether a message without content is one whose content is not known, and not just an empty one.
    pub(super) fn lacks_content(&self) -> bool {
        let missing = |message: &Message| message.content_missing == Some(true);
        self.erased || self.originals.is_empty() || self.message().is_some_and(missing)
    }

    /// Known from an import only.
    pub(super) fn is_backfilled(&self, shown: &Statement) -> bool {
        shown.via == Via::Backfill && !self.originals.is_empty()
    }

    pub(super) fn is_unsupported(&self) -> bool {
        self.message().is_some_and(|message| message.unsupported == Some(true))
    }

    /// How the sender was found.
    pub(super) fn sender_resolution(&self) -> Option<String> {
        if self.originals.is_empty() {
            return self.unresolved.map(|_| "unresolved".to_owned());
        }
        self.message()?.sender_resolution.as_ref().map(|found| found.method.clone())
    }

    pub(super) fn app_id(&self) -> Option<String> {
        self.of_originals(|fact| message_of(fact)?.app_id.clone())
    }

    /// What the best original has that has it.
    pub(super) fn of_originals<T>(&self, find: impl Fn(&'a Fact) -> Option<T>) -> Option<T> {
        self.originals.iter().find_map(|(_, statement)| find(&statement.fact))
    }

    /// The best original that is a message and no postback or reply.
    fn message(&self) -> Option<&'a Message> {
        self.of_originals(message_of)
    }
}
