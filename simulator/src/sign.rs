//! ◆ Pure: the two HMACs of Meta: over a webhook body (docs/meta-platform.md 2) and over a token (docs/meta-platform.md 8).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of `X-Hub-Signature-256` for these exact bytes.
pub fn signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac(secret, body)))
}

/// `appsecret_proof` of a token.
pub fn appsecret_proof(secret: &str, token: &str) -> String {
    hex::encode(hmac(secret, token.as_bytes()))
}

pub(crate) fn hmac(secret: &str, message: &[u8]) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn signs_like_the_vectors() {
        let vectors = crate::testing::fixture("odd/odd-signature-vectors.json");
        let mut checked = 0;
        for vector in vectors["vectors"].as_array().expect("vectors") {
            let Some(header) = vector["headers"]["X-Hub-Signature-256"].as_str() else { continue };
            let (Some(true), Some([secret])) = (
                vector["valid"].as_bool(),
                vector["configured_secrets"].as_array().map(Vec::as_slice),
            ) else {
                continue;
            };
            let body = base64::engine::general_purpose::STANDARD
                .decode(vector["body_base64"].as_str().expect("a body"))
                .expect("base64");
            assert_eq!(signature(secret.as_str().expect("a secret"), &body), header, "{vector}");
            checked += 1;
        }
        assert!(2 <= checked, "only {checked} vectors could be checked");
    }
}
