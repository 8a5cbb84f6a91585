//! ◆ Pure: ids of facts from their natural keys (docs/meta-platform.md 3.5), the same whichever source reports the fact.
//!
//! Never from `entry.time`: a redelivery in another batch has another one.

use schemas::event::Origin;
use schemas::facts::ContactDiscovered;
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Timestamp, ids};

use super::draft::Draft;

/// A message, in either direction: a better source may correct the direction under the same id.
pub fn message(channel: Channel, account: &AccountId, mid: &str) -> EventId {
    EventId::derive(channel, account, "message", &[mid])
}

/// The withdrawal of a message by its author.
pub fn deleted(channel: Channel, account: &AccountId, mid: &str) -> EventId {
    EventId::derive(channel, account, "deleted", &[mid])
}

/// A real edit.
pub fn edit(
    channel: Channel,
    account: &AccountId,
    mid: &str,
    number: Option<i64>,
    text: Option<&str>,
) -> EventId {
    let number = number.map(|number| number.to_string()).unwrap_or_default();
    let hash = text.map(|text| ids::sha256_hex(text.as_bytes())).unwrap_or_default();
    EventId::derive(channel, account, "edit", &[mid, &number, &hash])
}

/// A comment: it is made once.
pub fn comment(channel: Channel, account: &AccountId, comment: &str) -> EventId {
    EventId::derive(channel, account, "comment", &[comment])
}

/// A comment that was hidden when Graph listed it, since nobody knows when.
pub fn hidden_when_listed(channel: Channel, account: &AccountId, comment: &str) -> EventId {
    EventId::derive(channel, account, "comment.change", &[comment, "hide", "listed"])
}

/// The sender of a message (or of an edit of it) is unknown.
pub fn unresolved(channel: Channel, account: &AccountId, mid: &str) -> EventId {
    EventId::derive(channel, account, "sender.unresolved", &[mid])
}

/// A person was seen for the first time.
pub fn discovered(channel: Channel, account: &AccountId, contact: &ContactId) -> EventId {
    EventId::derive(channel, account, "contact.discovered", &[contact.as_str()])
}

/// The name shown until a profile was read: "User 790621", "IG User 0909".
pub fn placeholder(channel: Channel, contact: &ContactId) -> String {
    match channel {
        Channel::Messenger => format!("User {}", ids::tail(contact.as_str(), 6)),
        Channel::Instagram => format!("IG User {}", ids::tail(contact.as_str(), 4)),
    }
}

/// `contact.discovered`; published at most once per contact, whatever comes later.
#[allow(clippy::too_many_arguments)] // the parts of an event
pub fn discovery(
    channel: Channel,
    account: AccountId,
    contact: ContactId,
    time: Timestamp,
    time_approximate: bool,
    username: Option<String>,
    last_interaction_at: Option<Timestamp>,
    origin: Origin,
) -> Draft {
    let id = discovered(channel, &account, &contact);
    let placeholder = placeholder(channel, &contact);
    let fact =
        Fact::ContactDiscovered(ContactDiscovered { placeholder, username, last_interaction_at });
    let mut event = Event::new(id, time, channel, account, Some(contact), origin, fact);
    event.data.time_approximate = time_approximate;
    Draft::of(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_show_the_last_digits() {
        assert_eq!(placeholder(Channel::Messenger, &"7300000000790621".into()), "User 790621");
        assert_eq!(placeholder(Channel::Instagram, &"5200000000000909".into()), "IG User 0909");
    }

    #[test]
    fn edits_of_one_message_differ_by_number_and_text() {
        let (channel, account) = (Channel::Instagram, AccountId::from("1"));
        let ids = [
            edit(channel, &account, "m", Some(1), Some("a")),
            edit(channel, &account, "m", Some(2), Some("a")),
            edit(channel, &account, "m", Some(1), Some("b")),
            message(channel, &account, "m"),
            deleted(channel, &account, "m"),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
