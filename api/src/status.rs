//! ◆ Pure: where replies and other commands stand, in the words of the API and of the worker's views.

use serde::Serialize;

/// Where a reply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReplyStatus {
    Queued,
    Sending,
    Sent,
    Failed,
    /// Some parts were sent, some failed.
    Partial,
    /// Whether Meta has sent it is not known.
    Unknown,
}

schemas::words! {
    ReplyStatus, "status of a reply":
    Queued = "queued", Sending = "sending", Sent = "sent", Failed = "failed", Partial = "partial", Unknown = "unknown"
}

/// Where a command other than a reply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CommandStatus {
    Queued,
    Done,
    Failed,
    /// Whether Meta has done it is not known.
    Unknown,
}

schemas::words! {
    CommandStatus, "status of a command":
    Queued = "queued", Done = "done", Failed = "failed", Unknown = "unknown"
}

schemas::text_column!(ReplyStatus, CommandStatus);
