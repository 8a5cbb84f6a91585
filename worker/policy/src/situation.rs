//! ◆ Pure: what the policy judges, and what it says.

use std::time::Duration;

use schemas::Timestamp;
use schemas::command::Requester;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendKind<'a> {
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
    /// An approved template to a person: no window.
    Template,
    /// A template to be approved.
    TemplateSubmit,
    /// An event of the Conversions API.
    Conversion {
        /// The account is connected by Facebook Login.
        by_facebook: bool,
    },
}

/// What the policy must know.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What is asked for.
    pub kind: SendKind<'a>,
    /// By whom.
    pub requester: Requester,
    /// Since when.
    pub requested_at: Timestamp,
    /// `AUTO_REPLY_MAX_AGE`
    pub auto_reply_max_age: Duration,
    /// The recipient; empty for comments.
    pub contact: &'a str,
    /// The recipient is the account itself, or one of its other ids.
    pub to_itself: bool,
    /// The latest act of the person that opens the window.
    pub opened_at: Option<Timestamp>,
    /// Another app controls the thread.
    pub other_owns: bool,
    /// When a person on our side, or another app, last answered.
    pub others_replied_at: Option<Timestamp>,
    /// The message it answers was unsent.
    pub cause_deleted: bool,
    /// Meta blocks the account.
    pub blocked: bool,
    /// Meta said that the person cannot be reached, and they have not acted since.
    pub unreachable: bool,
    /// The comment it answers is the account's own.
    pub own_comment: bool,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
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
pub struct Refusal {
    /// A stable word.
    pub code: &'static str,
    /// `window`, `policy`, `recipient`.
    pub class: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// For people who operate.
    pub message: String,
    /// When the rule last allowed it.
    pub until: Option<Timestamp>,
}
