//! ◆ Pure: Meta's callbacks: whether a `signed_request` is one of an app of ours, and the code of a deletion (docs/meta-platform-2.md 17).

use schemas::Timestamp;
use schemas::callback::{SignedRequest, form_field};
use sha2::{Digest, Sha256};

use crate::queue::Key;
use crate::signature::AppSecrets;

/// An older request is refused: it has no nonce, so its age bounds how long it can be replayed.
const AGE_MAX_SECONDS: i64 = 24 * 3_600;
/// Meta's clock may be ahead of ours.
const AHEAD_MAX_SECONDS: i64 = 3_600;
const ALGORITHM: &str = "HMAC-SHA256";
/// Hex digits of a code: 128 bits of an HMAC under the app's secret.
const CODE_DIGITS: usize = 32;

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackKind {
    /// They removed the app.
    Deauthorize,
    /// They asked for the deletion of their data.
    Deletion,
}

impl CallbackKind {
    /// The last part of the path.
    pub(crate) fn of(text: &str) -> Option<Self> {
        match text {
            "deauthorize" => Some(Self::Deauthorize),
            "deletion" => Some(Self::Deletion),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deauthorize => "deauthorize",
            Self::Deletion => "deletion",
        }
    }
}

/// Why a callback is not taken as Meta's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forged {
    #[error("the form field signed_request is missing, given twice or malformed")]
    Malformed,
    #[error("the signature does not fit")]
    Wrong,
    #[error("the algorithm is not HMAC-SHA256")]
    Algorithm,
    #[error("the request is older than 24 hours, or of the future")]
    Age,
}

impl Forged {
    /// A fixed word, for metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Wrong => "wrong",
            Self::Algorithm => "algorithm",
            Self::Age => "age",
        }
    }
}

/// A callback that is Meta's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Genuine {
    /// Names the request in the stream.
    pub(crate) key: Key,
    /// Of a deletion: follows from the request, so that a repeat gets the same one. Nobody guesses it, and nobody finds the person by it.
    pub(crate) code: String,
}

/// Judges the form that came in for `app`. The signature is compared in constant time and before anything else is believed.
///
/// # Errors
/// [`Forged`]
pub(crate) fn verify(
    secrets: &AppSecrets,
    app: &str,
    kind: CallbackKind,
    body: &[u8],
    now: Timestamp,
) -> Result<Genuine, Forged> {
    let field = form_field(body).ok_or(Forged::Malformed)?;
    let request = SignedRequest::read(&field).ok_or(Forged::Malformed)?;
    let signed = request.text.as_bytes();
    let secret = secrets.signer(app, signed, &request.signature).ok_or(Forged::Wrong)?;
    let payload = request.payload().ok_or(Forged::Malformed)?;
    if payload.algorithm != ALGORITHM {
        return Err(Forged::Algorithm);
    }
    let age = now.as_millis() / 1_000 - payload.issued_at;
    if !(-AHEAD_MAX_SECONDS..=AGE_MAX_SECONDS).contains(&age) {
        return Err(Forged::Age);
    }
    let digest = |hasher: Sha256| hasher.chain_update(kind.as_str()).chain_update([0]);
    let key = digest(Sha256::new()).chain_update(app).chain_update([0]).chain_update(signed);
    let mut code = hex::encode_upper(secret.hmac(&[b"hookline deletion code/", signed]));
    code.truncate(CODE_DIGITS);
    Ok(Genuine { key: key.finalize().into(), code })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_794_996_000_000 + 3_600_000);

    fn form(request: &str) -> Vec<u8> {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("signed_request", request)
            .finish()
            .into_bytes()
    }

    fn vectors() -> Value {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../simulator/tests/fixtures/graph2/signed-request-vectors.json"
        );
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn every_vector_gets_its_verdict() {
        let vectors = vectors();
        let secret = vectors["app_secret"].as_str().unwrap();
        let secrets = AppSecrets::parse(&format!("other=x,main=y,main={secret}")).unwrap();
        let mut seen = 0;
        for vector in vectors["vectors"].as_array().unwrap() {
            let body = form(vector["signed_request"].as_str().unwrap());
            let verdict = verify(&secrets, "main", CallbackKind::Deletion, &body, NOW);
            assert_eq!(verdict.is_ok(), vector["verdict"] == "valid", "{vector}: {verdict:?}");
            // Right, but for another app.
            assert!(verify(&secrets, "other", CallbackKind::Deletion, &body, NOW).is_err());
            assert!(verify(&secrets, "unknown", CallbackKind::Deletion, &body, NOW).is_err());
            seen += 1;
        }
        assert_eq!(seen, 15);
    }

    #[test]
    fn an_old_request_is_refused_and_a_repeat_has_the_same_code() {
        let vectors = vectors();
        let secret = vectors["app_secret"].as_str().unwrap();
        let secrets = AppSecrets::parse(&format!("main={secret}")).unwrap();
        let texts = ["0", "5"].map(|n| {
            let vector = &vectors["vectors"][n.parse::<usize>().unwrap()];
            form(vector["signed_request"].as_str().unwrap())
        });
        let at = |body: &[u8], seconds: i64| {
            let now = Timestamp::from_millis((1_794_996_000 + seconds) * 1_000);
            verify(&secrets, "main", CallbackKind::Deletion, body, now)
        };
        let first = at(&texts[0], 0).unwrap();
        assert_eq!(first.code.len(), CODE_DIGITS);
        // The same request with a padded signature.
        assert_eq!(at(&texts[1], 86_400).unwrap(), first);
        assert_eq!(at(&texts[0], 86_401), Err(Forged::Age));
        assert_eq!(at(&texts[0], -3_601), Err(Forged::Age));
        let other = form(vectors["vectors"][1]["signed_request"].as_str().unwrap());
        assert_ne!(at(&other, 0).unwrap().code, first.code);
        let twice = [texts[0].clone(), b"&".to_vec(), texts[0].clone()].concat();
        assert_eq!(at(&twice, 0), Err(Forged::Malformed));
    }
}
