//! ◆ Pure: the fields of the commands other than `reply`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::error::{CommandError, not_empty};
use crate::ContactId;

/// `sender_action`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SenderActionData {
    /// `typing_on`, `typing_off` or `mark_seen`.
    pub action: String,
}

/// `comment_reply`, `comment_private_reply`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentTextData {
    /// The comment to answer.
    pub comment_id: String,
    /// What to say.
    pub text: String,
}

/// `comment_create`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentCreateData {
    /// The media or post to comment on.
    pub media_id: String,
    /// What to say.
    pub text: String,
}

/// `comment_hide`, `comment_unhide`, `comment_delete`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentRef {
    /// The comment.
    pub comment_id: String,
}

/// `sync`
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncData {
    /// One person's conversation only; all of the account where absent.
    pub contact_id: Option<ContactId>,
}

/// `account_subscribe`, `account_refresh`, `account_disconnect`: nothing beside the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountData {}

/// `reply_cancel`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyRef {
    /// The reply, by its `reply_id`.
    pub reply_id: String,
}

/// `reply_resolve`
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResolveData {
    /// What was found at Meta: `sent` or `not_sent`.
    #[serde(rename = "as")]
    pub found: String,
    /// Meta's id of what was delivered, where known.
    pub message_id: Option<String>,
    /// Why.
    pub reason: String,
    /// The reply, by its `reply_id`.
    pub reply_id: String,
}

impl ReplyRef {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        not_empty("data.reply_id", &self.reply_id)
    }
}

impl ResolveData {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        not_empty("data.reply_id", &self.reply_id)?;
        not_empty("data.reason", &self.reason)?;
        match (self.found.as_str(), self.message_id.as_deref()) {
            ("sent", Some("")) => {
                Err(CommandError::invalid("data.message_id", "must not be empty"))
            }
            ("sent", _) | ("not_sent", None) => Ok(()),
            ("not_sent", Some(_)) => {
                Err(CommandError::invalid("data.message_id", "only with `as: sent`"))
            }
            _ => Err(CommandError::invalid("data.as", "use sent or not_sent")),
        }
    }
}

impl SenderActionData {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if ["typing_on", "typing_off", "mark_seen"].contains(&self.action.as_str()) {
            Ok(())
        } else {
            Err(CommandError::invalid("data.action", "use typing_on, typing_off or mark_seen"))
        }
    }
}

impl CommentTextData {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        not_empty("data.comment_id", &self.comment_id)?;
        not_empty("data.text", &self.text)
    }
}

impl CommentCreateData {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        not_empty("data.media_id", &self.media_id)?;
        not_empty("data.text", &self.text)
    }
}

impl CommentRef {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        not_empty("data.comment_id", &self.comment_id)
    }
}
