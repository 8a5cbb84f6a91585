//! ◆ Pure: who a contact is, from discovery and profile (contract section 8, "contact name").

use schemas::facts::Profile;
use schemas::{Channel, ContactId, Fact, Timestamp};
use serde_json::Value;

use super::piece::{Piece, Slot};

/// What is known of a contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// What to call them: never empty.
    pub name: String,
    /// What they were called before their profile was read.
    pub placeholder: String,
    /// A profile was read.
    pub enriched: bool,
    /// The handle.
    pub username: Option<String>,
    /// A link that stops working within days.
    pub avatar_url: Option<String>,
    /// The whole profile.
    pub profile: Option<Value>,
    /// When it was read.
    pub enriched_at: Option<Timestamp>,
}

/// `User 790621` on Messenger, `IG User 0909` on Instagram: last digits of the id.
pub fn placeholder(channel: Channel, contact: &ContactId) -> String {
    match channel {
        Channel::Messenger => format!("User {}", schemas::ids::tail(contact.as_str(), 6)),
        Channel::Instagram => format!("IG User {}", schemas::ids::tail(contact.as_str(), 4)),
    }
}

/// The contact of a conversation, from its pieces: the latest profile by (time, id), else the placeholder.
pub fn contact(channel: Channel, id: &ContactId, pieces: &[Piece]) -> Contact {
    let discovered =
        latest(pieces, Slot::Discovered).and_then(|piece| match &piece.said.as_ref()?.fact {
            Fact::ContactDiscovered(body) => Some(body),
            _ => None,
        });
    let enriched =
        latest(pieces, Slot::Profile).and_then(|piece| match &piece.said.as_ref()?.fact {
            Fact::ContactEnriched(profile) => Some((piece.time, profile)),
            _ => None,
        });
    let placeholder = discovered
        .map(|body| body.placeholder.clone())
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| placeholder(channel, id));
    let handle = discovered.and_then(|body| body.username.clone());
    Contact {
        name: enriched
            .and_then(|(_, profile)| name_of(profile))
            .unwrap_or_else(|| placeholder.clone()),
        placeholder,
        enriched: enriched.is_some(),
        username: enriched.and_then(|(_, profile)| profile.username.clone()).or(handle),
        avatar_url: enriched.and_then(|(_, profile)| profile.avatar_url.clone()),
        profile: enriched.and_then(|(_, profile)| serde_json::to_value(profile).ok()),
        enriched_at: enriched.map(|(time, _)| time),
    }
}

/// The full name, else first and last, else the handle.
fn name_of(profile: &Profile) -> Option<String> {
    let parts = [&profile.first_name, &profile.last_name];
    let joined = parts
        .into_iter()
        .flatten()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    [profile.name.clone(), Some(joined), profile.username.clone()]
        .into_iter()
        .flatten()
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
}

/// The latest piece of a slot that still holds, by (time, id).
pub(super) fn latest(pieces: &[Piece], slot: Slot) -> Option<&Piece> {
    pieces
        .iter()
        .filter(|piece| piece.said.is_some() && piece.slot() == slot)
        .max_by_key(|piece| piece.moment())
}
