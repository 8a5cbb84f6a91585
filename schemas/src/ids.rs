//! ◆ Pure: ids. Those from Meta are opaque text; ours are derived, never random.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Channel;
use crate::digest::Digest;

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(Self(text.to_owned()))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_ids! {
    /// The Instagram professional account id or the Page id: the canonical one, never an alias.
    AccountId,
    /// The IGSID or PSID of a person, as one account knows them (docs/meta-platform.md 0).
    ContactId,
    /// Meta's message id (`mid`): case-sensitive, opaque, of any length.
    MessageId,
    /// Derived from channel, account and contact: see [`ConversationId::of`].
    ConversationId,
    /// Derived from what Meta says: see [`EventId::derive`].
    EventId,
    /// The `id` of a command, unique per channel and account.
    CommandId,
}

/// Hex of the digest of the parts, cut to `hex_len` characters.
fn derived(prefix: &str, hex_len: usize, parts: &[&str]) -> String {
    let mut text = hex::encode(Digest::of_texts(parts.iter().copied()));
    text.truncate(hex_len);
    format!("{prefix}{text}")
}

impl EventId {
    /// The id of a fact: from channel, canonical account, a word for the fact (mostly its kind) and its natural key
    /// (docs/meta-platform.md 3.5). The same fact delivered twice has the same id.
    pub fn derive(channel: Channel, account: &AccountId, fact: &str, key: &[&str]) -> Self {
        let mut parts = vec![channel.as_str(), account.as_str(), fact];
        parts.extend_from_slice(key);
        Self(derived("evt_", 40, &parts))
    }
}

impl ConversationId {
    /// The conversation of one person with one account.
    pub fn of(channel: Channel, account: &AccountId, contact: &ContactId) -> Self {
        Self(derived("cnv_", 32, &[channel.as_str(), account.as_str(), contact.as_str()]))
    }
}

impl CommandId {
    /// The `reply_id` (and command id) of an API request: from channel, account, the token's name and its `Idempotency-Key`.
    pub fn of_request(channel: Channel, account: &AccountId, token_name: &str, key: &str) -> Self {
        Self(derived("rpl_", 32, &[channel.as_str(), account.as_str(), token_name, key]))
    }

    /// The id of the automatic reply to an event: `auto:<event id>`.
    pub fn automatic(event: &EventId) -> Self {
        Self(format!("auto:{event}"))
    }
}

/// The `id` of a message row in the inbox API: from channel, account and mid.
pub fn message_row_id(channel: Channel, account: &AccountId, message: &str) -> String {
    derived("msg_", 32, &[channel.as_str(), account.as_str(), message])
}

/// The id of a message template: from channel, account, its name at Meta and its language.
pub fn template_id(channel: Channel, account: &AccountId, name: &str, language: &str) -> String {
    derived("tpl_", 32, &[channel.as_str(), account.as_str(), name, language])
}

/// Identity of a command over the whole system (channel + account + id); also its `Nats-Msg-Id`.
pub fn command_identity(channel: Channel, account: &AccountId, id: &CommandId) -> String {
    derived("cmd_", 40, &[channel.as_str(), account.as_str(), id.as_str()])
}

/// Hex of the sha256 of `bytes`: the `Nats-Msg-Id` of a raw webhook.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Digest::of_bytes(bytes))
}

/// How many digits an id of a person has: Meta's have 15 to 17 today.
const CONTACT_DIGITS: std::ops::RangeInclusive<usize> = 10..=32;

/// Whether Meta can mean a person by this id: 10 to 32 digits and nothing else. Placeholder words and shorter ids are none
/// (docs/meta-platform.md 3.4, 5.3). The account's own ids are to be excluded as well.
pub fn may_be_contact(id: &str) -> bool {
    CONTACT_DIGITS.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits a placeholder name shows: the last `n` characters of an id.
pub fn tail(id: &str, n: usize) -> Cow<'_, str> {
    let skip = id.chars().count().saturating_sub(n);
    id.chars().skip(skip).collect::<String>().into()
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_separate_their_parts() {
        let account = AccountId::from("1");
        let one = EventId::derive(Channel::Instagram, &account, "message.received", &["ab", "c"]);
        let other = EventId::derive(Channel::Instagram, &account, "message.received", &["a", "bc"]);
        assert_ne!(one, other);
        assert_eq!(
            one,
            EventId::derive(Channel::Instagram, &account, "message.received", &["ab", "c"])
        );
        assert_eq!(one.as_str().len(), 44);
    }

    #[test]
    fn a_contact_is_10_to_32_digits() {
        let long = "1".repeat(5_000);
        let refused = [
            "12334",
            "232323232",
            "unknown_sender",
            "",
            "0",
            "undefined",
            "javascript:0123456789",
            "520000000000001\u{661}",
            &long,
        ];
        for id in refused {
            assert!(!may_be_contact(id), "{id}");
        }
        assert!(may_be_contact("5200000000000011") && may_be_contact("2502200000000004"));
    }

    #[test]
    fn a_tail_is_cut_by_characters() {
        assert_eq!(tail("5200000000000909", 4), "0909");
        assert_eq!(tail("ab", 4), "ab");
        assert_eq!(tail("äöü", 2), "öü");
    }
}
