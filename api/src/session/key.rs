//! ◆ Pure: what ties a session to the token it was opened with: a keyed digest, so that the table says nothing about the token.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PURPOSE: &[u8] = b"hookline session v1";

/// Ties sessions to tokens.
#[derive(Clone)]
pub(crate) struct SessionKey(Hmac<Sha256>);

impl SessionKey {
    /// With a key of its own, derived from the deployment's secret.
    pub(crate) fn new(secret: &[u8]) -> Self {
        let keyed = |key: &[u8]| {
            Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
        };
        let mut derive = keyed(secret);
        derive.update(PURPOSE);
        Self(keyed(&derive.finalize().into_bytes()))
    }

    /// What a session keeps of a token, from the token's hash.
    pub(crate) fn of(&self, hash: &[u8; 32]) -> Vec<u8> {
        let mut mac = self.0.clone();
        mac.update(hash);
        mac.finalize().into_bytes().to_vec()
    }

    /// Whether a session keeps this token; compared in constant time.
    pub(crate) fn holds(&self, hash: &[u8; 32], kept: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(hash);
        mac.verify_slice(kept).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_holds_its_token_only() {
        let key = SessionKey::new(b"secret");
        let kept = key.of(&[1; 32]);
        assert!(key.holds(&[1; 32], &kept));
        assert!(!key.holds(&[2; 32], &kept));
        assert!(!SessionKey::new(b"other").holds(&[1; 32], &kept));
    }
}
