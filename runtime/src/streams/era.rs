//! The identity of a stream: made with it, kept by a backup. A position means something only together with it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// The name under which the metadata of a stream has its era.
pub(super) const METADATA: &str = "hookline-era";
const DIGITS: usize = 32;

/// The identity of a stream: 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Era([u8; DIGITS]);

/// The text is no era.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no era of a stream: it has 32 hex digits")]
pub struct NotAnEra(String);

impl Era {
    /// Of a stream that is about to be made.
    pub fn random() -> Self {
        Self::of_number(rand::random())
    }

    /// Of a stream that was made before streams had eras, from its name and when it was made: whoever looks at it finds the same. The
    /// migrations that gave stored positions their eras compute the same in SQL.
    pub fn derived(stream: &str, made: Timestamp) -> Self {
        let text = format!("{METADATA}/{stream}/{}", made.as_millis());
        let digest = schemas::ids::sha256_hex(text.as_bytes());
        let mut digits = [b'0'; DIGITS];
        for (to, from) in digits.iter_mut().zip(digest.bytes()) {
            *to = from;
        }
        Self(digits)
    }

    /// As the metadata of a stream has it.
    pub fn in_metadata(metadata: &HashMap<String, String>) -> Option<Self> {
        metadata.get(METADATA)?.parse().ok()
    }

    fn of_number(number: u128) -> Self {
        let mut digits = [b'0'; DIGITS];
        for (to, from) in digits.iter_mut().zip(format!("{number:032x}").bytes()) {
            *to = from;
        }
        Self(digits)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first eight digits, for people and for ids of resumable streams.
    pub fn short(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Era({})", self.as_str())
    }
}

impl FromStr for Era {
    type Err = NotAnEra;

    fn from_str(text: &str) -> Result<Self, NotAnEra> {
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        match <[u8; DIGITS]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(hex) => Ok(Self(digits)),
            _ => Err(NotAnEra(text.chars().take(64).collect())),
        }
    }
}

impl TryFrom<String> for Era {
    type Error = NotAnEra;

    fn try_from(text: String) -> Result<Self, NotAnEra> {
        text.parse()
    }
}

impl From<Era> for String {
    fn from(era: Era) -> Self {
        era.as_str().to_owned()
    }
}

schemas::text_column!(Era);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_era_is_random_or_follows_from_the_making_and_reads_back() {
        assert_ne!(Era::random(), Era::random());
        let made = Timestamp::from_millis(1_795_000_200_007);
        let era = Era::derived("META_RAW", made);
        assert_eq!(era, Era::derived("META_RAW", made));
        assert_ne!(era, Era::derived("INBOX_EVENTS", made));
        assert_ne!(era, Era::derived("META_RAW", Timestamp::from_millis(1_795_000_200_008)));
        assert_eq!(era.as_str().parse(), Ok(era));
        assert_eq!(era.short(), &era.to_string()[..8]);
        for wrong in ["", "abc", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert!(wrong.parse::<Era>().is_err(), "{wrong}");
        }
        let metadata = HashMap::from([(METADATA.to_owned(), era.to_string())]);
        assert_eq!(Era::in_metadata(&metadata), Some(era));
        assert_eq!(Era::in_metadata(&HashMap::new()), None);
    }
}
