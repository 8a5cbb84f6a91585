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
    /// The time of the last `conversation.read`.
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
        known: sighted || block.is_some(),
        blocked: block.is_some(),
        block_name: mark(|mark| &mark.name),
        block_reason: mark(|mark| &mark.reason),
        blocked_by: mark(|mark| &mark.by),
        blocked_at: block.as_ref().map(|(_, since)| *since),
        read_until: latest(facts, Slot::Read).map(|(fact, _)| fact.time),
        interaction_at: listed.max(interaction),
    }
}

/// The block and since when it holds; `None` where the last act took it back.
fn block_of((fact, statement): Standing<'_>) -> Option<(&BlockMark, Timestamp)> {
    match &statement.fact {
        Fact::ContactBlocked(mark) => Some((mark, fact.time)),
        _ => None,
    }
}
