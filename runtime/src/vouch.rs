//! How the worker knows that a person asked for a command: the api, which checked their token, vouches for its bytes.
//!
//! A message does not show who published it, so `requested_by` alone proves nothing (docs/contract.md 6: every other client
//! counts as automation). The api puts an HMAC over the body, under a key derived from `ENCRYPTION_KEY`, into the header [`HEADER`].

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::EncryptionKeys;

/// The header that vouches for a command.
pub const HEADER: &str = "Hookline-Vouch";

const PURPOSE: &[u8] = b"hookline command requested by a person v1";

/// Vouches for commands, and checks.
#[derive(Clone)]
pub struct Vouch {
    first: Hmac<Sha256>,
    /// Of the keys that are being rotated out: what they vouched for holds.
    others: Vec<Hmac<Sha256>>,
}

impl std::fmt::Debug for Vouch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vouch(…)")
    }
}

impl Vouch {
    /// From `ENCRYPTION_KEY`, as [`EncryptionKeys`] reads it. `None` where it cannot be used.
    pub fn from_hex(key: &str) -> Option<Self> {
        let keys = EncryptionKeys::parse(key).ok()?;
        let others = keys.others.iter().map(|key| derive(&key.bytes)).collect::<Option<_>>()?;
        Some(Self { first: derive(&keys.first.bytes)?, others })
    }

    /// The value of [`HEADER`] for these bytes.
    pub fn of(&self, body: &[u8]) -> String {
        let mut mac = self.first.clone();
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    /// Whether the api vouches for these bytes; compared in constant time.
    pub fn holds(&self, body: &[u8], header: Option<&str>) -> bool {
        let mut said = [0_u8; 32];
        let Some(header) = header else { return false };
        if hex::decode_to_slice(header, &mut said).is_err() {
            return false;
        }
        std::iter::once(&self.first).chain(&self.others).any(|mac| {
            let mut mac = mac.clone();
            mac.update(body);
            mac.verify_slice(&said).is_ok()
        })
    }
}

fn derive(key: &[u8; 32]) -> Option<Hmac<Sha256>> {
    let mut derive = Hmac::<Sha256>::new_from_slice(key).ok()?;
    derive.update(PURPOSE);
    Hmac::new_from_slice(&derive.finalize().into_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_bytes_under_this_key() {
        let vouch = |byte: &str| Vouch::from_hex(&byte.repeat(32)).expect("a key");
        let said = vouch("0a").of(b"body");
        assert!(vouch("0a").holds(b"body", Some(&said)));
        assert!(!vouch("0a").holds(b"bodies", Some(&said)));
        assert!(!vouch("0b").holds(b"body", Some(&said)));
        for wrong in [None, Some(""), Some("zz"), Some("00")] {
            assert!(!vouch("0a").holds(b"body", wrong), "{wrong:?}");
        }
        assert!(Vouch::from_hex("0a").is_none());
        // While a key is rotated out, both vouch.
        let (new, old) = ("0b".repeat(32), "0a".repeat(32));
        let both = Vouch::from_hex(&format!("new:{new},old:{old}")).expect("keys");
        assert!(both.holds(b"body", Some(&said)));
        assert!(vouch("0b").holds(b"body", Some(&both.of(b"body"))));
    }
}
