//! ◆ Pure: a raw webhook as META_RAW keeps it: the body byte for byte, and headers.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Names of the headers of a stored raw webhook.
pub mod header {
    /// When ingest read the body to its end, RFC 3339.
    pub const RECEIVED_AT: &str = "Hookline-Received-At";
    /// The *name* of the secret that verified the signature, never the secret.
    pub const SECRET: &str = "Hookline-Secret";
    /// The HTTP path the body came in on.
    pub const PATH: &str = "Hookline-Path";
    /// Of a request for deletion: the code of its public page.
    pub const CODE: &str = "Hookline-Code";
    /// Of a body that was stored again without erased items: the position that it had at first, which counts as its position.
    pub const REDACTED: &str = "Hookline-Redacted";
    /// Beside it: hex of the sha256 of the body as it came, from which ids of unreadable items are derived.
    pub const BODY: &str = "Hookline-Body";
    /// On replayed events only: the id of the replay job.
    pub const REPLAY: &str = "Hookline-Replay";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// On events: [`crate::event::CONTENT_TYPE`].
    pub const CONTENT_TYPE: &str = "Content-Type";
}

/// Where a raw webhook came in; the `<path>` token of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawPath {
    /// `/webhooks/instagram`
    Instagram,
    /// `/webhooks/facebook`
    Facebook,
    /// `/webhook`
    Any,
}

impl RawPath {
    /// The subject token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instagram => "instagram",
            Self::Facebook => "facebook",
            Self::Any => "any",
        }
    }

    /// The HTTP path.
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Instagram => "/webhooks/instagram",
            Self::Facebook => "/webhooks/facebook",
            Self::Any => "/webhook",
        }
    }
}

/// What is known about a raw webhook besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMeta {
    /// Its position in META_RAW; of a redacted body the one that it had at first.
    pub stream_sequence: u64,
    /// When ingest read it; the broker's time where the header is missing.
    pub received_at: Timestamp,
    /// The name of the secret that verified it, where the header names one.
    pub secret: Option<String>,
    /// The HTTP path it came in on, where the header names one.
    pub path: Option<String>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// Why its headers cannot be read whole: ingest did not write it.
    pub flaw: Option<&'static str>,
    /// Of a body that was stored again without erased items: hex of the sha256 of the body as it came. `null` stands for each erased item.
    pub redacted: Option<String>,
}
