//! Sealing of account tokens, of codes of Meta's logins and of secrets that come with webhooks, under `ENCRYPTION_KEY`.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes. Sealed form: one version byte, nonce, ciphertext with tag. A *context* is
//! bound in as associated data, so that a sealed value moved to another row does not open.

use std::fmt;

use crate::config::{EncryptionKey, EncryptionKeys};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Seal {
    /// Seals.
    first: XChaCha20Poly1305,
    /// Open what was sealed before, until `accounts rekey` has moved it.
    others: Vec<XChaCha20Poly1305>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The key has the wrong form.
    #[error("`ENCRYPTION_KEY`: {0}; make one with `openssl rand -hex 32`")]
    Key(String),
    /// The sealed value is damaged, belongs to another row, or was sealed under another key.
    #[error("a sealed secret does not open: is `ENCRYPTION_KEY` the one it was stored under?")]
    Open,
    /// The cipher refused.
    #[error("a secret could not be sealed")]
    Seal,
}

impl Seal {
    /// From `ENCRYPTION_KEY`, as [`EncryptionKeys`] reads it.
    ///
    /// # Errors
    /// [`SealError::Key`] when it cannot be used.
    pub fn from_hex(key: &str) -> Result<Self, SealError> {
        let keys = EncryptionKeys::parse(key).map_err(SealError::Key)?;
        let cipher = |key: &EncryptionKey| XChaCha20Poly1305::new(&Key::from(key.bytes));
        Ok(Self { first: cipher(&keys.first), others: keys.others.iter().map(cipher).collect() })
    }

    /// Seals `plain` for the place named by `context`, such as `account-token/instagram/1784…`.
    ///
    /// # Errors
    /// [`SealError::Seal`], which does not happen for values of ordinary size.
    pub fn seal(&self, context: &str, plain: &str) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: plain.as_bytes(), aad: context.as_bytes() };
        let cipher =
            self.first.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Seal)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + cipher.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&cipher);
        Ok(sealed)
    }

    /// Opens what [`Seal::seal`] made for the same context, under any of the keys.
    ///
    /// # Errors
    /// [`SealError::Open`] when key, context or bytes differ.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<String, SealError> {
        let ciphers = std::iter::once(&self.first).chain(&self.others);
        let opened = ciphers.map(|cipher| open(cipher, context, sealed)).find_map(Result::ok);
        opened.ok_or(SealError::Open)
    }

    /// The same sealed under the first key; `None`: it is already.
    ///
    /// # Errors
    /// [`SealError::Open`] when none of the keys opens it.
    pub fn reseal(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        if open(&self.first, context, sealed).is_ok() {
            return Ok(None);
        }
        self.seal(context, &self.open(context, sealed)?).map(Some)
    }
}

/// What the sealed code of a login is bound to: the api seals it, the worker opens it.
pub fn login_code_context(login: &str) -> String {
    format!("connect-code/{login}")
}

fn open(cipher: &XChaCha20Poly1305, context: &str, sealed: &[u8]) -> Result<String, SealError> {
    let rest = sealed.strip_prefix(&[VERSION]).ok_or(SealError::Open)?;
    let (nonce, text) = rest.split_at_checked(NONCE_BYTES).ok_or(SealError::Open)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SealError::Open)?;
    let payload = Payload { msg: text, aad: context.as_bytes() };
    let plain = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Open)?;
    String::from_utf8(plain).map_err(|_| SealError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(byte: &str) -> Seal {
        Seal::from_hex(&byte.repeat(32)).unwrap()
    }

    #[test]
    fn a_secret_opens_only_with_its_key_and_in_its_place() {
        let sealed = seal("0a").seal("account-token/instagram/1", "IGAA-token").unwrap();
        assert_eq!(seal("0a").open("account-token/instagram/1", &sealed).unwrap(), "IGAA-token");
        assert_eq!(seal("0b").open("account-token/instagram/1", &sealed), Err(SealError::Open));
        assert_eq!(seal("0a").open("account-token/instagram/2", &sealed), Err(SealError::Open));
        let mut damaged = sealed.clone();
        damaged[30] ^= 1;
        assert_eq!(seal("0a").open("account-token/instagram/1", &damaged), Err(SealError::Open));
        assert_eq!(
            seal("0a").open("account-token/instagram/1", &sealed[..12]),
            Err(SealError::Open)
        );
        assert!(!sealed.windows(4).any(|window| window == b"IGAA"));
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        assert_ne!(seal("0a").seal("c", "x").unwrap(), seal("0a").seal("c", "x").unwrap());
    }

    #[test]
    fn what_an_older_key_sealed_opens_and_is_moved() {
        let sealed = seal("0a").seal("c", "IGAA-token").unwrap();
        let both = format!("new:{},old:{}", "0b".repeat(32), "0a".repeat(32));
        let both = Seal::from_hex(&both).unwrap();
        assert_eq!(both.open("c", &sealed).unwrap(), "IGAA-token");
        assert_eq!(both.open("d", &sealed), Err(SealError::Open));
        let moved = both.reseal("c", &sealed).unwrap().unwrap();
        assert_eq!(seal("0b").open("c", &moved).unwrap(), "IGAA-token");
        assert_eq!(both.reseal("c", &moved).unwrap(), None);
        assert_eq!(seal("0b").reseal("c", &sealed), Err(SealError::Open));
    }

    #[test]
    fn a_short_key_is_refused_by_name() {
        let error = Seal::from_hex("abcd").unwrap_err().to_string();
        assert!(error.contains("ENCRYPTION_KEY"), "{error}");
    }
}
