//! ◆ Pure: `signed_request`, the body of Meta's callbacks (docs/meta-platform-2.md 17).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::sign::hmac;

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallbackKind {
    /// They removed the app.
    Deauthorize,
    /// They asked for the deletion of their data.
    Deletion,
}

impl CallbackKind {
    /// The last part of the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deauthorize => "deauthorize",
            Self::Deletion => "deletion",
        }
    }
}

/// The `signed_request` about `user_id`, signed with `secret` over the encoded text.
pub fn signed_request(secret: &str, user_id: &str, issued_at: i64) -> String {
    let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": user_id});
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    let signature = URL_SAFE_NO_PAD.encode(hmac(secret, payload.as_bytes()));
    format!("{signature}.{payload}")
}

/// The form that carries it.
pub(crate) fn form(signed_request: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("signed_request", signed_request)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_signed_like_the_vectors() {
        let vectors = crate::testing::fixture("graph2/signed-request-vectors.json");
        let secret = vectors["app_secret"].as_str().expect("a secret");
        let expected = vectors["vectors"][0]["signed_request"].as_str().expect("a request");
        assert_eq!(signed_request(secret, "25500000000000101", 1_794_996_000), expected);
    }
}
