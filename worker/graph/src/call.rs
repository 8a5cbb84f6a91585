//! ◆ Pure: what the client has to know of one call beside its request.

use std::time::Duration;

use runtime::deadline::Deadline;

use super::limits::Lane;

/// What a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// A word for metrics and spans: `send`, `message`, `conversations`, `profile`, `comment_reply`, …
    pub kind: &'static str,
    /// Whose share of the allowance it uses.
    pub lane: Lane,
    /// Shorter than `GRAPH_TIMEOUT` where the caller's own deadline is nearer.
    pub timeout: Option<Duration>,
    /// A request with a body leaves before this or not at all, also where the process was frozen or the machine slept.
    pub deadline: Option<Deadline>,
    /// Takes a slot of the Conversations API: 2 per second and account (docs/meta-platform.md 10).
    pub paced: bool,
    /// Its path has no version.
    pub versionless: bool,
    /// A refusal of it does not mean that the token is bad.
    pub no_verdict: bool,
}

impl Call {
    /// A call with the usual time-out.
    pub const fn new(kind: &'static str, lane: Lane) -> Self {
        Self {
            kind,
            lane,
            timeout: None,
            deadline: None,
            paced: false,
            versionless: false,
            no_verdict: false,
        }
    }

    /// At the pace of the Conversations API.
    pub const fn paced(self) -> Self {
        Self { paced: true, ..self }
    }

    /// At a path without version.
    pub const fn without_version(self) -> Self {
        Self { versionless: true, ..self }
    }

    /// Says nothing about the token when it is refused.
    pub const fn without_verdict(self) -> Self {
        Self { no_verdict: true, ..self }
    }

    /// Leaving before `deadline` or not at all.
    pub const fn before(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// With a shorter time-out.
    pub const fn within(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}
