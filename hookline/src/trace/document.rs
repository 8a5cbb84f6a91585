//! What `hookline trace` prints, as JSON has it.

use schemas::Timestamp;
use serde::Serialize;
use serde_json::Value;
use worker::trace::Story;
use worker::trace::reading::Reading;

/// A raw webhook of the story.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RawWebhook {
    /// Its position in META_RAW.
    pub(crate) seq: i64,
    /// `false`: META_RAW no longer has it.
    pub(crate) kept: bool,
    /// When ingest read it.
    pub(crate) received_at: Option<Timestamp>,
    /// The HTTP path it came in on.
    pub(crate) path: Option<String>,
    /// The name of the secret that verified its signature.
    pub(crate) verified_by: Option<String>,
    /// Length of its body.
    pub(crate) bytes: usize,
    /// Its keys, types, lengths and ids.
    pub(crate) structure: Value,
    /// The body itself, with `--reveal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// What this version's normaliser makes of it; `None` where it panics over it.
    pub(crate) readings: Option<Vec<Reading>>,
}

/// The whole story of one id.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Trace {
    /// The version of the normaliser that `readings` are of.
    pub(crate) version: &'static str,
    /// What the worker knows.
    #[serde(flatten)]
    pub(crate) story: Story,
    /// The raw webhooks it came from.
    pub(crate) raws: Vec<RawWebhook>,
    /// What the read model has.
    pub(crate) rows: projector::trace::Rows,
    /// The events as they stand in the log, with `--reveal`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<Value>,
}
