//! ◆ Pure: what acts of people and sightings say about a conversation. What its messages say about it (last message, unread, window) is
//! a query over their rows: see [`crate::store`].

use schemas::{AccountId, Channel, ContactId, Fact, Kind, Timestamp};

use super::contact::{self, Contact, latest};
use super::piece::{Piece, Slot};

/// Whose conversation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// The person.
    pub contact_id: ContactId,
}

/// A row of `conversations`, without what follows from its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRow {
    /// See [`schemas::ConversationId::of`].
    pub id: String,
    /// Whose it is.
    pub identity: Identity,
    /// The person.
    pub contact: Contact,
    /// The last act of archiving or taking out holds; a new message does not change it.
    pub archived: bool,
    /// To whom, by the last act.
    pub assigned_to: Option<String>,
    /// The block that holds.
    pub block: Option<Block>,
    /// The last `conversation.read`.
    pub read_until: Option<Timestamp>,
    /// Known beyond its messages.
    pub known: bool,
    /// A listing at Meta or a referral told that there is such a conversation, and when it was last used.
    pub interaction_at: Option<Timestamp>,
}

/// A block that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// A name to show in the block list.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Name of the API token that acted.
    pub by: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// The row of a conversation from its pieces. Of each slot only the latest by (time, id) counts, so the caller may leave out the rest.
pub fn conversation_row(id: &str, identity: Identity, pieces: &[Piece]) -> ConversationRow {
    let said = |slot: Slot| {
        latest(pieces, slot).and_then(|piece| piece.said.as_ref().map(|said| (piece, &said.fact)))
    };
    let block = said(Slot::Block).and_then(|(piece, fact)| match fact {
        Fact::ContactBlocked(mark) => Some(Block {
            name: mark.name.clone(),
            reason: mark.reason.clone(),
            by: mark.by.clone(),
            at: piece.time,
        }),
        _ => None,
    });
    let listed = said(Slot::Discovered).and_then(|(_, fact)| match fact {
        Fact::ContactDiscovered(body) => body.last_interaction_at,
        _ => None,
    });
    let interaction = latest(pieces, Slot::Interaction).map(|piece| piece.time);
    let known = [Slot::Discovered, Slot::Profile, Slot::Interaction]
        .iter()
        .any(|slot| latest(pieces, *slot).is_some());
    ConversationRow {
        id: id.to_owned(),
        contact: contact::contact(identity.channel, &identity.contact_id, pieces),
        identity,
        archived: latest(pieces, Slot::Archive)
            .is_some_and(|piece| piece.kind == Kind::ConversationArchived),
        assigned_to: said(Slot::Assign).and_then(|(_, fact)| match fact {
            Fact::ConversationAssigned(body) => body.assigned_to.clone(),
            _ => None,
        }),
        known: known || block.is_some(),
        block,
        read_until: latest(pieces, Slot::Read).map(|piece| piece.time),
        interaction_at: listed.max(interaction),
    }
}
