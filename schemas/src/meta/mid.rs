//! ◆ Pure: what Instagram's ids say, as far as anybody knows (docs/meta-platform.md 5.2). Hints only: on any mismatch an id
//! is opaque, and no message fails for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Timestamp;

/// What an Instagram message id holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mid {
    /// Mostly the account's id; never route by it.
    pub account_part: String,
    /// The same for all messages of one conversation.
    pub thread_id: String,
    /// When the message was made.
    pub created_at: Timestamp,
}

/// Decodes an Instagram message id; `None` when it has another structure.
pub fn decode(mid: &str) -> Option<Mid> {
    let text = unescape(mid)?;
    let mut parts = text.strip_prefix("ig_dm_item:1:IGMessageID:")?.split(':');
    let (account, thread, item) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !digits(account) || !digits(thread) || !digits(item) {
        return None;
    }
    let created_micros = u64::try_from(item.parse::<u128>().ok()? >> 64).ok()?;
    let millis = i64::try_from(created_micros / 1000).ok()?;
    // An item id without a time in it (years before Instagram) says nothing.
    if millis < 1_262_304_000_000 {
        return None;
    }
    Some(Mid {
        account_part: account.to_owned(),
        thread_id: thread.to_owned(),
        created_at: Timestamp::from_millis(millis),
    })
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Base64 in which `Z` is an escape: `ZA` stands for `Z`, `ZD` for `=`.
fn unescape(id: &str) -> Option<String> {
    let mut plain = String::with_capacity(id.len());
    let mut characters = id.chars();
    while let Some(character) = characters.next() {
        match character {
            'Z' => match characters.next()? {
                'A' => plain.push('Z'),
                'D' => plain.push('='),
                _ => return None,
            },
            other => plain.push(other),
        }
    }
    String::from_utf8(STANDARD.decode(plain).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MID: &str = "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQxNDAwMDAwMDAwMTAxOjM0MDI4MjM2Njg0MTcxMDMwMTI0NDI3NjAwMDAwMDAwMDAwMDAxMTozMzExMTc4MjAyMTMzNjk2MDU4NTU2OTMxODk5MzkyMDAwMAZDZD";

    #[test]
    fn a_mid_holds_thread_and_time() {
        let mid = decode(MID).unwrap();
        assert_eq!(mid.account_part, "17841400000000101");
        assert_eq!(mid.thread_id, "340282366841710301244276000000000000011");
        assert_eq!(mid.created_at.as_millis(), 1_794_993_300_120);
    }

    #[test]
    fn anything_else_is_opaque() {
        for id in
            ["", "Z", "ZQ", "random_mid", "m_vAf6xUclbrz3q8c", "mid.1", "aWdf", "äöü", &MID[..40]]
        {
            assert_eq!(decode(id), None, "{id}");
        }
        let no_time =
            STANDARD.encode("ig_dm_item:1:IGMessageID:1:2:3").replace('Z', "ZA").replace('=', "ZD");
        assert_eq!(decode(&no_time), None);
    }
}
