//! ◆ Pure: who a contact is, from discovery and profile (docs/contract.md 8, "contact name").

use schemas::facts::Profile;
use schemas::{Channel, ContactId, Fact, Timestamp};
use serde_json::Value;

use super::row_fact::{RowFact, latest};
use super::slot::Slot;

/// What is known of a contact: columns of `conversations`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contact {
    /// What to call them: never empty.
    pub(crate) name: String,
    /// What they were called before their profile was read.
    pub(crate) placeholder: String,
    /// A profile was read.
    pub(crate) enriched: bool,
    /// The handle.
    pub(crate) username: Option<String>,
    /// A link that stops working within days.
    pub(crate) avatar_url: Option<String>,
    /// The whole profile.
    pub(crate) profile: Option<Value>,
    /// When it was read.
    pub(crate) enriched_at: Option<Timestamp>,
}

/// `User 790621` on Messenger, `IG User 0909` on Instagram: last digits of the id.
fn placeholder(channel: Channel, contact: &ContactId) -> String {
    match channel {
        Channel::Messenger => format!("User {}", schemas::ids::tail(contact.as_str(), 6)),
        Channel::Instagram => format!("IG User {}", schemas::ids::tail(contact.as_str(), 4)),
    }
}

/// The contact of a conversation, from its facts: the latest profile by (time, id), else the placeholder.
pub(crate) fn contact(channel: Channel, id: &ContactId, facts: &[RowFact]) -> Contact {
    let discovered =
        latest(facts, Slot::Discovered).and_then(|(_, statement)| match &statement.fact {
            Fact::ContactDiscovered(body) => Some(body),
            _ => None,
        });
    let enriched =
        latest(facts, Slot::Profile).and_then(|(fact, statement)| match &statement.fact {
            Fact::ContactEnriched(profile) => Some((fact.time, profile)),
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
