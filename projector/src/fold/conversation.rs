//! ◆ Pure: what acts of people and sightings say about a conversation. What follows from its messages (last message, unread, window) is
//! computed by the database from their rows.

use schemas::facts::BlockMark;
use schemas::{AccountId, Channel, ContactId, Fact, Kind, Timestamp};

use super::contact::{Contact, contact};
use super::row_fact::{RowFact, Standing, Statement, latest};
use super::slot::Slot;

/// Whose conversation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// The person.
    pub(crate) contact_id: ContactId,
}

impl Identity {
    /// The conversation that a statement is about; `None` where the person is not known.
    pub(crate) fn of(statement: &Statement) -> Option<Self> {
        Some(Self {
            channel: statement.channel,
            account_id: statement.account_id.clone(),
            contact_id: statement.contact_id.clone()?,
        })
    }
}

/// A row of `conversations`, without what follows from its messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConversationRow {
    /// See [`schemas::ConversationId::of`].
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) identity: Identity,
    /// The person.
    pub(crate) contact: Contact,
    /// The last act of archiving or taking out holds; a new message does not change it.
    pub(crate) archived: bool,
    /// Who is to answer, by the last act.
    pub(crate) assigned_to: Option<String>,
    /// Until when it is out of the list, by the last act, and whatever the person wrote since.
    pub(crate) snoozed_until: Option<Timestamp>,
    /// What the person writes after that wakes it.
    pub(crate) snoozed_at: Option<Timestamp>,
    /// The last act blocked the person.
    pub(crate) blocked: bool,
    /// A name to show in the block list.
    pub(crate) block_name: Option<String>,
    /// Why the person is blocked.
    pub(crate) block_reason: Option<String>,
    /// Name of the API token that blocked them.
    pub(crate) blocked_by: Option<String>,
    /// Since when they are blocked.
    pub(crate) blocked_at: Option<Timestamp>,
    /// Up to which time messages are read, by the last `conversation.read`.
    pub(crate) read_until: Option<Timestamp>,
    /// Known beyond its messages: by a discovery, a profile, an interaction or a block.
    pub(crate) known: bool,
    /// When it was last used, by a listing at Meta or by a referral, opt-in or order.
    pub(crate) interaction_at: Option<Timestamp>,
}

/// The row of a conversation from its facts. Of each slot only the latest by (time, id) counts, so the caller may leave out the rest.
pub(crate) fn conversation_row(id: &str, identity: Identity, facts: &[RowFact]) -> ConversationRow {
    let block = latest(facts, Slot::Block).and_then(block_of);
    let mark = |field: fn(&BlockMark) -> &Option<String>| {
        block.as_ref().and_then(|(mark, _)| field(mark).clone())
    };
    let listed = latest(facts, Slot::Discovered).and_then(|(_, found)| match &found.fact {
        Fact::ContactDiscovered(body) => body.last_interaction_at,
        _ => None,
    });
    let interaction = latest(facts, Slot::Interaction).map(|(fact, _)| fact.time);
    let sighted = [Slot::Discovered, Slot::Profile, Slot::Interaction]
        .iter()
        .any(|slot| latest(facts, *slot).is_some());
    let snooze = latest(facts, Slot::Snooze).and_then(snooze_of);
    ConversationRow {
        id: id.to_owned(),
        contact: contact(identity.channel, &identity.contact_id, facts),
        identity,
        archived: latest(facts, Slot::Archive)
            .is_some_and(|(fact, _)| fact.kind == Kind::ConversationArchived),
        assigned_to: latest(facts, Slot::Assign).and_then(|(_, act)| match &act.fact {
            Fact::ConversationAssigned(body) => body.assigned_to.clone(),
            _ => None,
        }),
        snoozed_until: snooze.map(|(until, _)| until),
        snoozed_at: snooze.map(|(_, since)| since),
        known: sighted || block.is_some(),
        blocked: block.is_some(),
        block_name: mark(|mark| &mark.name),
        block_reason: mark(|mark| &mark.reason),
        blocked_by: mark(|mark| &mark.by),
        blocked_at: block.as_ref().map(|(_, since)| *since),
        read_until: latest(facts, Slot::Read).map(read_until),
        interaction_at: listed.max(interaction),
    }
}

/// Messages sent until then are read: before the act, and the last one that was there.
fn read_until((fact, statement): Standing<'_>) -> Timestamp {
    match &statement.fact {
        Fact::ConversationRead(read) => fact.time.max(read.last_message_at.unwrap_or(fact.time)),
        _ => fact.time,
    }
}

/// Until when it is snoozed, and after what it wakes: the act, and the last message that was there. `None` where the last act ended it.
fn snooze_of((fact, statement): Standing<'_>) -> Option<(Timestamp, Timestamp)> {
    match &statement.fact {
        Fact::ConversationSnoozed(snooze) => {
            let until = snooze.until.filter(|until| *until > fact.time)?;
            Some((until, fact.time.max(snooze.last_message_at.unwrap_or(fact.time))))
        }
        _ => None,
    }
}

/// The block and since when it holds; `None` where the last act took it back.
fn block_of((fact, statement): Standing<'_>) -> Option<(&BlockMark, Timestamp)> {
    match &statement.fact {
        Fact::ContactBlocked(mark) => Some((mark, fact.time)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use schemas::facts::{ConversationRead, ConversationSnoozed};
    use schemas::{Event, Via};

    use super::*;
    use crate::fold::fixture::{at, event};
    use crate::fold::{Arrival, split};

    /// The row after reads that were stored at these seconds.
    fn read_until(reads: &[(Event, i64)]) -> Option<Timestamp> {
        let mut facts = Vec::new();
        for (read, stored) in reads {
            let Arrival::Fact { facts: of, .. } = split(read.clone()) else { panic!("a fact") };
            facts.extend(of.into_iter().map(|mut fact| {
                fact.bound(at(*stored));
                fact
            }));
        }
        let identity = facts.first().and_then(|fact| Identity::of(fact.statement.as_ref()?));
        conversation_row("cnv", identity.unwrap(), &facts).read_until
    }

    fn read(key: &str, seconds: i64, last: Option<i64>) -> Event {
        let read = ConversationRead { by: None, last_message_at: last.map(at) };
        event(key, seconds, Via::Api, Fact::ConversationRead(read))
    }

    #[test]
    fn a_read_ends_when_it_was_stored_and_with_the_last_message_that_was_there() {
        for (read, until) in [
            (read("a", 10, None), 10),
            (read("a", 10_000, None), 12),
            (read("a", 10, Some(9)), 10),
            // Meta's clock is ahead, or a message has an impossible time.
            (read("a", 10, Some(500)), 500),
            (read("a", 10, Some(1_000_000)), 10),
        ] {
            assert_eq!(read_until(&[(read.clone(), 12)]), Some(at(until)), "{read:?}");
        }
    }

    #[test]
    fn a_snooze_begins_with_the_act_and_the_last_message_that_was_there() {
        let snoozed = |acts: &[(&str, i64, Option<i64>, Option<i64>)]| {
            let mut facts = Vec::new();
            for (key, seconds, until, last) in acts {
                let body = ConversationSnoozed {
                    until: until.map(at),
                    by: None,
                    last_message_at: last.map(at),
                };
                let act = event(key, *seconds, Via::Api, Fact::ConversationSnoozed(body));
                let Arrival::Fact { facts: of, .. } = split(act) else { panic!("a fact") };
                facts.extend(of.into_iter().map(|mut fact| {
                    fact.bound(at(*seconds));
                    fact
                }));
            }
            let identity = facts.first().and_then(|fact| Identity::of(fact.statement.as_ref()?));
            let row = conversation_row("cnv", identity.unwrap(), &facts);
            row.snoozed_until.zip(row.snoozed_at)
        };
        let first = ("a", 10, Some(500), None);
        assert_eq!(snoozed(&[first]), Some((at(500), at(10))));
        assert_eq!(snoozed(&[("a", 10, Some(500), Some(90))]), Some((at(500), at(90))));
        assert_eq!(snoozed(&[("a", 10, Some(500), Some(9_000))]), Some((at(500), at(10))));
        // A later act ends it or moves it, in whichever order they come.
        assert_eq!(snoozed(&[("b", 20, None, None), first]), None);
        assert_eq!(snoozed(&[first, ("b", 20, Some(15), None)]), None);
        assert_eq!(snoozed(&[("b", 20, Some(60), None), first]), Some((at(60), at(20))));
    }

    #[test]
    fn the_last_read_counts_whatever_clock_the_others_had() {
        let (wrong, right) = (read("a", 10_000, None), read("b", 20, None));
        for reads in [[(wrong.clone(), 12), (right.clone(), 20)], [(right, 20), (wrong, 12)]] {
            assert_eq!(read_until(&reads), Some(at(20)));
        }
    }
}
