//! ◆ Pure: why a publish did not succeed.

/// Why a message may not be stored. After a time-out it may be stored nevertheless: repeat with the same id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishFailure {
    /// Not connected; nothing was sent.
    #[error("the broker is not reachable")]
    NotConnected,
    /// No answer in time: stored or not, nobody knows.
    #[error("the broker did not answer in time")]
    TimedOut,
    /// The stream has no leader or is missing; try again.
    #[error("no stream takes the subject right now")]
    NoStream,
    /// The stream is not the one whose positions are known; nothing was sent, an operator must act.
    #[error("stream {0} is gone or was made anew, so nothing is published to it: see /readyz")]
    OtherEra(&'static str),
    /// The stream, the server's disk or the account is full: an operator must act.
    #[error("full, there is no room for it: {0}")]
    Full(String),
    /// The message can never be stored as it is.
    #[error("the message is larger than the broker takes")]
    TooLarge,
    /// Any other answer of the broker.
    #[error("the broker refused: {0}")]
    Refused(String),
}

impl PublishFailure {
    /// Whether the broker is away: the same publish may succeed once it is back, and others fare no better now.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::NotConnected | Self::TimedOut | Self::NoStream | Self::OtherEra(_))
    }
}
