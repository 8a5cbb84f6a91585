//! ◆ Pure: what one part of a command does, as the ledger keeps it, and the key its effect is recognised by.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::Repeat;
use crate::state::EchoKind;

/// What one part does, as `worker.parts.payload` keeps it: without anything that depends on host or token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Payload {
    /// A message to a person.
    Message {
        /// The `message` of the Send API.
        message: Value,
        /// The message it quotes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
        /// `HUMAN_AGENT`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    },
    /// Typing or mark seen.
    SenderAction {
        /// `typing_on`, `typing_off`, `mark_seen`.
        action: String,
    },
    /// A public answer to a comment.
    CommentReply {
        /// The comment.
        comment_id: String,
        /// What to say.
        text: String,
    },
    /// A message to the author of a comment.
    PrivateReply {
        /// The comment.
        comment_id: String,
        /// What to say.
        text: String,
    },
    /// A comment on own media.
    CommentCreate {
        /// The media or post.
        media_id: String,
        /// What to say.
        text: String,
    },
    /// Hides or shows a comment.
    CommentHide {
        /// The comment.
        comment_id: String,
        /// Whether to hide it.
        hidden: bool,
    },
    /// Deletes a comment.
    CommentDelete {
        /// The comment.
        comment_id: String,
    },
}

impl Payload {
    /// How its outcome may be found out.
    pub(crate) const fn repeat(&self) -> Repeat {
        match self {
            Self::Message { .. } => Repeat::AfterProof,
            Self::SenderAction { .. } => Repeat::OneTry,
            _ => Repeat::Never,
        }
    }

    /// The comment it is about.
    pub(crate) fn comment_id(&self) -> Option<&str> {
        match self {
            Self::CommentReply { comment_id, .. }
            | Self::PrivateReply { comment_id, .. }
            | Self::CommentHide { comment_id, .. }
            | Self::CommentDelete { comment_id } => Some(comment_id),
            _ => None,
        }
    }

    /// What Meta reports its effect as.
    pub(crate) const fn echo_kind(&self) -> EchoKind {
        match self {
            Self::Message { .. } | Self::PrivateReply { .. } => EchoKind::Message,
            _ => EchoKind::Comment,
        }
    }
}

/// The key of a part: what its echo carries on Messenger, and what claims an echo.
pub fn part_key(identity: &str, n: i32) -> String {
    format!("hookline:{identity}:{n}")
}

/// Reads a [`part_key`].
pub(crate) fn parse_key(key: &str) -> Option<(&str, i32)> {
    let (identity, n) = key.strip_prefix("hookline:")?.rsplit_once(':')?;
    Some((identity, n.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back() {
        assert_eq!(parse_key(&part_key("cmd_1", 2)), Some(("cmd_1", 2)));
        assert_eq!(parse_key("out:1"), None);
    }
}
