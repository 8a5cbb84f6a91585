//! ◆ Pure: when a profile is read, and when again, by the class of the last answer (docs/meta-platform.md 8.2).

use std::time::Duration;

use schemas::Timestamp;

use graph::{Class, GraphError};

/// A profile read less than this ago is fresh.
pub(crate) const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Failures in a row before the next act of the person is waited for.
const FAILURES_MAX: u32 = 8;

/// What Graph said about a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A profile.
    Profile,
    /// An empty object: not allowed (yet).
    Empty,
    /// 100/33: the person is not known in a messaging context (yet).
    Unsupported,
    /// 2018218: no profile exists (account made with a phone number).
    NoProfile,
    /// 2018247, 10, 200, 3: the app or token lacks a permission.
    NoPermission,
    /// 230: the person has not agreed (yet).
    NoConsent,
    /// 5xx, time-out, no connection.
    Unavailable,
    /// A rate limit, of Meta or our own.
    Limited(Duration),
    /// The token is refused: the account stops.
    Stopped,
    /// Anything else: our request is wrong.
    Invalid,
}

/// What is to be done after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// When to ask again without anybody acting.
    pub due_at: Option<Timestamp>,
    /// From when an act of the person makes the profile wanted again; never, where absent.
    pub refresh_after: Option<Timestamp>,
    /// Whether the answer counts as one more of its kind.
    pub counted: bool,
}

impl Answer {
    /// What an error means here.
    pub fn of(error: &GraphError) -> Self {
        if error.names(2_018_218) {
            return Self::NoProfile;
        }
        if error.names(2_018_247) {
            return Self::NoPermission;
        }
        match (error.code, error.subcode) {
            (Some(230), _) => return Self::NoConsent,
            (Some(100), Some(33)) => return Self::Unsupported,
            _ => {}
        }
        match error.class {
            Class::Retry | Class::Unknown => Self::Unavailable,
            Class::Limited(_) => {
                Self::Limited(error.retry_after.unwrap_or(Duration::from_secs(60)))
            }
            Class::Account => Self::Stopped,
            Class::Permission => Self::NoPermission,
            // The person cannot be seen now: the next act may change that.
            Class::Recipient => Self::Unsupported,
            Class::Window | Class::Done | Class::Invalid => Self::Invalid,
        }
    }

    /// As `worker.contacts.answer` and metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "ok",
            Self::Empty => "empty",
            Self::Unsupported => "unsupported",
            Self::NoProfile => "no_profile",
            Self::NoPermission => "no_permission",
            Self::NoConsent => "no_consent",
            Self::Unavailable => "unavailable",
            Self::Limited(_) => "limited",
            Self::Stopped => "stopped",
            Self::Invalid => "invalid",
        }
    }

    /// The rule of each answer. `attempts`: how many of the same kind came in a row before this one; `min`, `max`: `RETRY_MIN`,
    /// `RETRY_MAX`; `jitter` in 0.0–1.0.
    ///
    /// | answer | asked again |
    /// | --- | --- |
    /// | profile | with an act of the person after a day |
    /// | empty, 100/33, 230 | with the next act of the person; each refusal in a row doubles the least distance, up to a day |
    /// | 2018218 | never |
    /// | 2018247 and other permissions | when the account is added again |
    /// | 5xx, time-out | with back-off, eight times; then with the next act after `RETRY_MAX` |
    /// | rate limit | when it is over |
    /// | token refused | when the account is added again: a stopped account is not asked about |
    /// | anything else | with an act of the person after a day |
    pub fn next(
        self,
        attempts: u32,
        now: Timestamp,
        min: Duration,
        max: Duration,
        jitter: f64,
    ) -> Next {
        let act = |after: Duration| Next {
            due_at: None,
            refresh_after: Some(now.plus(after)),
            counted: true,
        };
        match self {
            Self::Profile | Self::Invalid => act(FRESH),
            // The first refusal leaves the very next act free.
            Self::Empty | Self::Unsupported | Self::NoConsent if attempts == 0 => {
                act(Duration::ZERO)
            }
            Self::Empty | Self::Unsupported | Self::NoConsent => {
                act(runtime::retry::delay(min, FRESH, attempts - 1, 1.0))
            }
            Self::NoProfile | Self::NoPermission => {
                Next { due_at: None, refresh_after: None, counted: true }
            }
            Self::Unavailable if attempts < FAILURES_MAX => {
                let due = now.plus(runtime::retry::delay(min, max, attempts, jitter));
                Next { due_at: Some(due), refresh_after: Some(due), counted: true }
            }
            Self::Unavailable => act(max),
            Self::Limited(wait) => {
                Next { due_at: Some(now.plus(wait)), refresh_after: Some(now), counted: false }
            }
            Self::Stopped => Next { due_at: Some(now), refresh_after: Some(now), counted: false },
        }
    }

    /// How many answers of one kind came in a row, this one included. `before`: the last answer's word and its count.
    pub fn count(self, before: Option<&str>, attempts: u32) -> u32 {
        let refusal = |word: &str| matches!(word, "empty" | "unsupported" | "no_consent");
        match before {
            Some(before)
                if before == self.as_str() || (refusal(before) && refusal(self.as_str())) =>
            {
                attempts.saturating_add(1)
            }
            _ => 1,
        }
    }
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
