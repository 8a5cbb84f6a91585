//! ◆ Pure: `signed_request`, the body of Meta's callbacks (docs/meta-platform-2.md 17): two parts of base64url with a dot between them. The
//! first is an HMAC over the second *as text*.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::meta::Node;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The longest id of a person.
const ID_MAX: usize = 128;

/// The form field `signed_request` of a body; `None` where it is missing or given twice.
pub fn form_field(body: &[u8]) -> Option<String> {
    let mut found = url::form_urlencoded::parse(body).filter(|(name, _)| name == "signed_request");
    let (_, value) = found.next()?;
    found.next().is_none().then(|| value.into_owned())
}

/// A `signed_request` in its two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest<'a> {
    /// The signature, decoded.
    pub signature: [u8; 32],
    /// What is signed, as it was written.
    pub text: &'a str,
}

/// What a `signed_request` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPayload {
    /// `HMAC-SHA256`, or another one, which is refused.
    pub algorithm: String,
    /// Seconds since 1970.
    pub issued_at: i64,
    /// The person's id at this app, as text also where Meta writes a number.
    pub user_id: String,
}

impl<'a> SignedRequest<'a> {
    /// Takes it apart; `None` where it has another form.
    pub fn read(text: &'a str) -> Option<Self> {
        let (signature, text) = text.split_once('.')?;
        let signature = BASE64.decode(signature).ok()?.try_into().ok()?;
        Some(Self { signature, text })
    }

    /// What it says; `None` where it is no JSON of this form.
    pub fn payload(&self) -> Option<SignedPayload> {
        let json = BASE64.decode(self.text).ok()?;
        let value: &RawValue =
            Deserialize::deserialize(&mut serde_json::Deserializer::from_slice(&json)).ok()?;
        let node = Node::parse(value)?;
        let user_id = node.id("user_id").filter(|id| is_id(id))?;
        Some(SignedPayload {
            algorithm: node.text("algorithm").unwrap_or_default(),
            issued_at: node.integer("issued_at")?,
            user_id,
        })
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}
