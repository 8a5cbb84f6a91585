//! ◆ Pure: ids as Meta makes them. Instagram message and thread ids have the structure of docs/meta-platform.md 5.2,
//! Messenger ids have none. Everything is derived from the seed, so a run can be repeated.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256, Sha512};

/// What an Instagram message id says when its base64 is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstagramMid {
    /// The account part: in webhooks the `17841…` id.
    pub account: String,
    /// 39 digits, the same for all messages between one person and one account.
    pub thread: String,
    /// Creation time in microseconds in the upper bits, 64 bits of noise below.
    pub item: u128,
}

impl InstagramMid {
    /// A message of `thread` created at `created_us` (microseconds since 1970); `noise` keeps two of one microsecond apart.
    pub fn new(account: &str, thread: &str, created_us: u64, noise: u64) -> InstagramMid {
        let item = (u128::from(created_us) << 64) | u128::from(noise);
        InstagramMid { account: account.to_owned(), thread: thread.to_owned(), item }
    }

    /// When the message was created, in microseconds since 1970.
    pub fn created_us(&self) -> u64 {
        // The upper half of a u128 always fits.
        (self.item >> 64) as u64
    }

    /// The mid as it stands in webhooks.
    pub fn encode(&self) -> String {
        escape(&format!("ig_dm_item:1:IGMessageID:{}:{}:{}", self.account, self.thread, self.item))
    }

    /// Opens a mid; none when it is not one of Instagram's.
    pub fn decode(mid: &str) -> Option<InstagramMid> {
        let plain = unescape(mid)?;
        let mut parts = plain.strip_prefix("ig_dm_item:1:IGMessageID:")?.split(':');
        let (account, thread, item) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let item = item.parse().ok()?;
        Some(InstagramMid { account: account.to_owned(), thread: thread.to_owned(), item })
    }

    /// The conversation id Graph gives for the thread of this message.
    pub fn conversation_id(&self) -> String {
        instagram_conversation_id(&self.account, &self.thread)
    }
}

/// The id of an Instagram conversation in Graph's listings.
pub(crate) fn instagram_conversation_id(account: &str, thread: &str) -> String {
    escape(&format!("ig_dm:1:IGMessageThread:{account}:{thread}"))
}

/// Base64 in which `Z` is an escape: `ZA` is `Z`, `ZD` is `=`.
fn escape(plain: &str) -> String {
    STANDARD.encode(plain).replace('Z', "ZA").replace('=', "ZD")
}

fn unescape(escaped: &str) -> Option<String> {
    let mut base64 = String::with_capacity(escaped.len());
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        base64.push(match (character, character == 'Z') {
            (_, true) => match characters.next()? {
                'A' => 'Z',
                'D' => '=',
                _ => return None,
            },
            (other, false) => other,
        });
    }
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}

/// The thread between one person and one Instagram account: 39 digits, close to 2^128.
pub(crate) fn instagram_thread(seed: u64, account: &str, person: &str) -> String {
    format!("340282366841710301244276{}", digits(seed, &["thread", account, person], 15))
}

/// The id of a Messenger thread.
pub(crate) fn messenger_thread(seed: u64, account: &str, person: &str) -> String {
    format!("t_{}", digits(seed, &["thread", account, person], 17))
}

/// A Messenger message id: `m_` and 86 characters without meaning.
pub(crate) fn messenger_mid(
    seed: u64,
    account: &str,
    person: &str,
    created_us: u64,
    noise: u64,
) -> String {
    let key = format!("{seed}/{account}/{person}/{created_us}/{noise}");
    format!("m_{}", URL_SAFE_NO_PAD.encode(Sha512::digest(key)))
}

/// A decimal number of exactly `length` digits derived from the seed and `parts`; never starts with 0.
pub(crate) fn digits(seed: u64, parts: &[&str], length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut round = 0_u32;
    while text.len() < length {
        let key = format!("{seed}\u{0}{round}\u{0}{}", parts.join("\u{0}"));
        for byte in Sha256::digest(key) {
            let digit = if text.is_empty() { 1 + byte % 9 } else { byte % 10 };
            text.push(char::from(b'0' + digit));
        }
        round += 1;
    }
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture(name: &str) -> serde_json::Value {
        crate::testing::fixture(name)
    }

    #[test]
    fn opens_the_mids_of_the_fixtures_and_closes_them_again() {
        for name in ["ig-message-text", "ig-message-echo", "ig-message-images", "ig-message-self"] {
            let item =
                fixture(&format!("instagram/{name}.json"))["entry"][0]["messaging"][0].clone();
            let mid = item["message"]["mid"].as_str().expect("a mid");
            let opened = InstagramMid::decode(mid).expect("a structured mid");
            assert_eq!(opened.account, "17841400000000101");
            assert_eq!(opened.thread.len(), 39);
            assert_eq!(Some(opened.created_us() / 1000), item["timestamp"].as_u64(), "{name}");
            assert_eq!(opened.encode(), mid);
        }
    }

    #[test]
    fn builds_the_conversation_id_of_the_listing() {
        let listing =
            fixture("graph/conversations-list.json")["response"]["body"]["data"][0].clone();
        let mid = listing["messages"]["data"][0]["id"].as_str().expect("a mid");
        let opened = InstagramMid::decode(mid).expect("a structured mid");
        assert_eq!(Some(opened.conversation_id().as_str()), listing["id"].as_str());
    }

    #[test]
    fn foreign_ids_stay_opaque() {
        for id in
            ["", "random_mid", "m_abc", "aWdfZ", "aWdfZQ", "mid.1457764197618:41d102a3e1ae206a38"]
        {
            assert_eq!(InstagramMid::decode(id), None, "{id}");
        }
    }

    #[test]
    fn ids_follow_from_the_seed_and_differ_between_people() {
        assert_eq!(digits(7, &["a", "b"], 16), digits(7, &["a", "b"], 16));
        assert_ne!(digits(7, &["a", "b"], 16), digits(8, &["a", "b"], 16));
        assert_ne!(digits(7, &["ab"], 16), digits(7, &["a", "b"], 16));
        assert_eq!(digits(1, &["x"], 100).len(), 100);
        assert_eq!(messenger_mid(1, "p", "q", 5, 6).len(), 88);
    }

    proptest! {
        #[test]
        fn a_mid_survives_both_ways(account in "[0-9]{17}", thread in "[0-9]{39}", us in any::<u64>(), noise in any::<u64>()) {
            let mid = InstagramMid::new(&account, &thread, us, noise);
            prop_assert_eq!(mid.created_us(), us);
            prop_assert_eq!(InstagramMid::decode(&mid.encode()), Some(mid));
        }
    }
}
