//! ◆ Pure: what the policy judges, and what it says.

use std::time::Duration;

use schemas::Timestamp;
use schemas::command::Requester;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendKind<'a> {
    /// A message to a person, perhaps with a tag.
    Message {
        /// `HUMAN_AGENT` or a retired one.
        tag: Option<&'a str>,
        /// It is the automatic reply of the account to one event.
        automatic: bool,
    },
    /// Typing or mark seen.
    SenderAction,
    /// A message to the author of a comment. No window: Meta allows one per comment, within 7 days (docs/meta-platform.md 8.3).
    PrivateReply,
    /// Anything else on comments.
    Comment,
}

/// What the policy must know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    /// What is asked for.
    pub(crate) kind: SendKind<'a>,
    /// By whom.
    pub(crate) requester: Requester,
    /// Since when.
    pub(crate) requested_at: Timestamp,
    /// `AUTO_REPLY_MAX_AGE`
    pub(crate) auto_reply_max_age: Duration,
    /// The recipient; empty for comments.
    pub(crate) contact: &'a str,
    /// The recipient is the account itself, or one of its other ids.
    pub(crate) to_itself: bool,
    /// The latest act of the person that opens the window.
    pub(crate) opened_at: Option<Timestamp>,
    /// Another app controls the thread.
    pub(crate) other_owns: bool,
    /// When a person on our side, or another app, last answered.
    pub(crate) others_replied_at: Option<Timestamp>,
    /// The message it answers was unsent.
    pub(crate) cause_deleted: bool,
    /// Meta blocks the account.
    pub(crate) blocked: bool,
    /// Meta said that the person cannot be reached, and they have not acted since.
    pub(crate) unreachable: bool,
    /// The comment it answers is the account's own.
    pub(crate) own_comment: bool,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go ahead.
    Allowed {
        /// The rule that allows it.
        rule: &'static str,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Never ask Meta.
    Refused(Refusal),
}

/// Why Meta is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A stable word.
    pub(crate) code: &'static str,
    /// `window`, `policy`, `recipient`.
    pub(crate) class: &'static str,
    /// The rule.
    pub(crate) rule: &'static str,
    /// For people who operate.
    pub(crate) message: String,
    /// When the rule last allowed it.
    pub(crate) until: Option<Timestamp>,
}
