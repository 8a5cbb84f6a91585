//! ◆ Pure: why reading for a client ends.

/// Why a client's stream ends.
pub(super) enum End {
    /// The client went away.
    Gone,
    /// It does not read; it may resume.
    TooSlow,
    /// The stream was recreated; the client gets `stream_reset` when it connects again.
    Recreated,
}
