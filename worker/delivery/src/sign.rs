//! ◆ Pure: signatures of Standard Webhooks, scheme v1: HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// The header `webhook-signature`: one signature a secret, separated by spaces. A receiver takes the request where any of them is right.
pub(crate) fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let all: Vec<String> =
        secrets.iter().filter_map(|secret| signature(secret, id, timestamp, body)).collect();
    all.join(" ")
}

fn signature(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    /// The vector of the libraries of Standard Webhooks and Svix.
    #[test]
    fn a_signature_is_that_of_the_published_vector() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            signatures(std::slice::from_ref(&secret), ID, AT, BODY),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        // By the Python library `standardwebhooks`.
        let longest = STANDARD.encode((0..64).collect::<Vec<u8>>());
        let longest = Secret::parse(&format!("whsec_{longest}")).unwrap();
        assert_eq!(
            signatures(&[longest], "evt_1.r2", AT, "{\"text\":\"Grüße 😊\"}".as_bytes()),
            "v1,1tiDBsj64ae9AJDl9med5Q/hH2S3fxT82x4Q3RYUEVc="
        );
        let other = Secret::of([1; 32]);
        let both = signatures(&[other.clone(), secret.clone()], ID, AT, BODY);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, signatures(&[other], ID, AT, BODY));
        assert_eq!(second, signatures(&[secret], ID, AT, BODY));
    }
}
