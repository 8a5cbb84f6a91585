//! ◆ Pure: whether a body is Meta's (docs/meta-platform.md 2). HMAC over the bytes as they came; every secret is tried, always.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use runtime::config::is_name;
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The header that decides.
pub(crate) const SHA256_HEADER: &str = "x-hub-signature-256";
/// The legacy header, looked at only by choice and only where the other is absent.
pub(crate) const SHA1_HEADER: &str = "x-hub-signature";

pub(crate) struct Secret {
    name: String,
    sha256: Hmac<Sha256>,
    sha1: Hmac<Sha1>,
}

impl Secret {
    /// HMAC-SHA256 under it over these parts, one after the other.
    pub(crate) fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.sha256.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// `META_APP_SECRETS`: `[name=]secret,…`. One without a name is called by its place: `1`, `2`, … Two may share a name: an app whose
/// secret is being rotated out.
pub(crate) struct AppSecrets(Vec<Secret>);

impl fmt::Debug for AppSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|secret| &secret.name)).finish()
    }
}

impl AppSecrets {
    /// Reads `[name=]secret,…`.
    ///
    /// # Errors
    /// Says which one cannot be used and why, without showing it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut secrets = Vec::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let place = index + 1;
            let (name, secret) = match part.split_once('=') {
                Some((name, secret)) => (name.trim().to_owned(), secret.trim()),
                None => (place.to_string(), part),
            };
            if part.is_empty() || secret.bytes().all(|byte| byte == b'=') {
                return Err(format!(
                    "secret {place} is empty; use [name=]secret,… (one that ends in = needs a name)"
                ));
            }
            if !is_name(&name) {
                return Err(format!(
                    "the name of secret {place} must be 1 to 64 of A-Z a-z 0-9 _ - . (use name=secret)"
                ));
            }
            let keyed =
                (Hmac::new_from_slice(secret.as_bytes()), Hmac::new_from_slice(secret.as_bytes()));
            let (Ok(sha256), Ok(sha1)) = keyed else {
                return Err(format!("secret {place} cannot be used as a key"));
            };
            secrets.push(Secret { name, sha256, sha1 });
        }
        Ok(Self(secrets))
    }

    /// The names of the apps.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.0.iter().map(|secret| secret.name.as_str()).collect()
    }

    /// The secret of `app` that signed these bytes; compared in constant time.
    pub(crate) fn signer(&self, app: &str, signed: &[u8], given: &[u8; 32]) -> Option<&Secret> {
        let mut fitting = None;
        for secret in self.0.iter().filter(|secret| secret.name == app) {
            let fits: bool = secret.hmac(&[signed]).ct_eq(given).into();
            fitting = fitting.or(fits.then_some(secret));
        }
        fitting
    }

    /// The name of the secret that signed `body`; the first one where several did.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] when none did.
    pub(crate) fn verify(&self, body: &[u8], signature: &Signature) -> Result<&str, Rejection> {
        let fits = |secret: &Secret| -> Choice {
            match signature {
                Signature::Sha256(given) => {
                    let digest = secret.sha256.clone().chain_update(body).finalize().into_bytes();
                    digest.as_slice().ct_eq(given)
                }
                Signature::Sha1(given) => {
                    let digest = secret.sha1.clone().chain_update(body).finalize().into_bytes();
                    digest.as_slice().ct_eq(given)
                }
            }
        };
        // No early return: the time it takes must not reveal which secret fits.
        let mut fitting = None;
        for secret in &self.0 {
            let fits: bool = fits(secret).into();
            fitting = fitting.or(fits.then_some(secret.name.as_str()));
        }
        fitting.ok_or(Rejection::Wrong)
    }
}

/// A signature as a header gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    /// Of `X-Hub-Signature-256`.
    Sha256([u8; 32]),
    /// Of `X-Hub-Signature`.
    Sha1([u8; 20]),
}

/// Why a request is not taken as Meta's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// No signature header.
    #[error("X-Hub-Signature-256 is missing")]
    Missing,
    /// Only the legacy header, which is not accepted.
    #[error(
        "X-Hub-Signature-256 is missing; X-Hub-Signature alone is not accepted (META_ACCEPT_SHA1)"
    )]
    LegacyOnly,
    /// The deciding header is there more than once.
    #[error("the signature header is given twice")]
    Twice,
    /// Not `sha256=` and 64 hex digits.
    #[error("the signature header is malformed")]
    Malformed,
    /// No secret of ours made it.
    #[error("the signature does not fit the body")]
    Wrong,
}

impl Rejection {
    /// A fixed word, for metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::LegacyOnly => "legacy_only",
            Self::Twice => "twice",
            Self::Malformed => "malformed",
            Self::Wrong => "wrong",
        }
    }
}

/// Reads the signature from all values of both headers. SHA-1 counts only with `accept_sha1` and only where the other header is absent:
/// nobody can ask for the weaker one by adding it.
///
/// # Errors
/// [`Rejection`]
pub(crate) fn read<'a>(
    sha256: impl IntoIterator<Item = &'a [u8]>,
    sha1: impl IntoIterator<Item = &'a [u8]>,
    accept_sha1: bool,
) -> Result<Signature, Rejection> {
    if let Some(value) = only(sha256)? {
        return digest(value, b"sha256=").map(Signature::Sha256);
    }
    if !accept_sha1 {
        let legacy = sha1.into_iter().next().is_some();
        return Err(if legacy { Rejection::LegacyOnly } else { Rejection::Missing });
    }
    let value = only(sha1)?.ok_or(Rejection::Missing)?;
    digest(value, b"sha1=").map(Signature::Sha1)
}

fn only<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, Rejection> {
    let mut values = values.into_iter();
    let first = values.next();
    if values.next().is_some() { Err(Rejection::Twice) } else { Ok(first) }
}

fn digest<const N: usize>(value: &[u8], prefix: &[u8]) -> Result<[u8; N], Rejection> {
    let digits = value.strip_prefix(prefix).ok_or(Rejection::Malformed)?;
    let mut digest = [0; N];
    hex::decode_to_slice(digits, &mut digest).map_err(|_| Rejection::Malformed)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use proptest::prelude::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../../tests/fixtures/meta/odd/odd-signature-vectors.json");

    fn judge(vector: &Value, accept_sha1: bool) -> Result<String, Rejection> {
        let body = base64::engine::general_purpose::STANDARD
            .decode(vector["body_base64"].as_str().unwrap())
            .unwrap();
        let configured: Vec<_> = vector["configured_secrets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap())
            .collect();
        let secrets = AppSecrets::parse(&configured.join(",")).unwrap();
        let header = |name: &str| vector["headers"][name].as_str().map(str::as_bytes);
        let signature =
            read(header("X-Hub-Signature-256"), header("X-Hub-Signature"), accept_sha1)?;
        secrets.verify(&body, &signature).map(str::to_owned)
    }

    #[test]
    fn all_vectors_are_judged_as_they_say() {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 14);
        for vector in vectors {
            let name = vector["name"].as_str().unwrap();
            let (strict, lenient) = (judge(vector, false), judge(vector, true));
            match &vector["valid"] {
                Value::Bool(valid) => {
                    assert_eq!(strict.is_ok(), *valid, "{name}: {strict:?}");
                    assert_eq!(lenient.is_ok(), *valid, "{name} with SHA-1: {lenient:?}");
                }
                Value::String(policy) if policy == "policy" => {
                    assert_eq!(strict, Err(Rejection::LegacyOnly), "{name}");
                    assert!(lenient.is_ok(), "{name}");
                }
                // Upper case: decoded bytes are compared, so it is accepted.
                Value::String(either) if either == "either" => assert!(strict.is_ok(), "{name}"),
                other => panic!("{name}: {other}"),
            }
        }
    }

    #[test]
    fn the_verifying_secret_is_named() {
        let secrets = AppSecrets::parse("shop=aaa, bbb,shop=ccc,last=d==").unwrap();
        assert_eq!(format!("{secrets:?}"), r#"["shop", "2", "shop", "last"]"#);
        for (secret, name) in [("aaa", "shop"), ("bbb", "2"), ("ccc", "shop"), ("d==", "last")] {
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .unwrap()
                .chain_update(b"body")
                .finalize();
            let signature = Signature::Sha256(mac.into_bytes().into());
            assert_eq!(secrets.verify(b"body", &signature), Ok(name));
            assert_eq!(secrets.verify(b"bodY", &signature), Err(Rejection::Wrong));
        }
    }

    #[test]
    fn headers_that_cannot_be_trusted() {
        let good = format!("sha256={}", "0a".repeat(32));
        let good = good.as_bytes();
        let none: [&[u8]; 0] = [];
        assert!(read([good], none, false).is_ok());
        assert_eq!(read([good, good], none, true), Err(Rejection::Twice));
        assert_eq!(read(none, none, true), Err(Rejection::Missing));
        let legacy: &[u8] = b"sha1=0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
        assert!(matches!(read(none, [legacy], true), Ok(Signature::Sha1(_))));
        assert_eq!(read(none, [legacy, legacy], true), Err(Rejection::Twice));
        assert_eq!(read(none, [legacy], false), Err(Rejection::LegacyOnly));
        for wrong in [
            &b""[..],
            b"sha256=",
            b"sha256",
            b"SHA256=00",
            legacy,
            &good[..good.len() - 1],
            &[good, b"0"].concat(),
            &[good, b",", good].concat(),
            &[b"sha256= ", &good[7..]].concat(),
            b"sha256=\xff\xfe",
        ] {
            assert_eq!(read([wrong], [legacy], true), Err(Rejection::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn secrets_that_cannot_be_used_are_named_by_place() {
        for (text, expected) in [
            ("", "secret 1 is empty"),
            ("a,,b", "secret 2 is empty"),
            ("a,name=", "secret 2 is empty"),
            ("c2VjcmV0==", "secret 1 is empty"),
            ("=a", "the name of secret 1"),
            ("na me=a", "the name of secret 1"),
        ] {
            let error = AppSecrets::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("c2VjcmV0"));
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(read([&value[..]], [], true).is_err());
            prop_assert!(read([], [&value[..]], true).is_err());
        }
    }
}
