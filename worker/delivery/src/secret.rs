//! ◆ Pure: the secret of an endpoint, as Standard Webhooks writes it: `whsec_` and base64 of 24 to 64 bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "whsec_";
/// Bytes of the secrets that are made here.
pub(crate) const BYTES: usize = 32;

/// A secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret of random bytes.
    pub fn of(bytes: [u8; BYTES]) -> Self {
        Self(bytes.to_vec())
    }

    /// Reads `whsec_…`; `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The text that is given to its owner, once, and sealed.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a sealed secret is bound to: the api seals it, the worker opens it.
pub fn secret_context(endpoint: &str) -> String {
    format!("endpoint-secret/{endpoint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_and_is_not_shown() {
        let secret = Secret::of([7; BYTES]);
        assert_eq!(Secret::parse(&secret.expose()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let of =
            |bytes: usize| Secret::parse(&format!("{PREFIX}{}", STANDARD.encode(vec![1; bytes])));
        assert!(of(24).is_some() && of(64).is_some());
        assert!(of(23).is_none() && of(65).is_none());
        assert!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
    }
}
