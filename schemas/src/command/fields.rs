//! ◆ Pure: the fields of the commands other than `reply`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::error::{CommandError, not_empty};
use crate::{ContactId, Timestamp};

/// Most comments of one command.
const COMMENTS_MAX: usize = 50;

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
    /// Only conversations in which something happened since.
    pub since: Option<Timestamp>,
}

/// `media_sync`
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MediaSyncData {
    /// All comments of this media or post; the newest media or posts with their comments where absent.
    pub media_id: Option<String>,
}

/// `comment_hide_many`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentHideManyData {
    /// The comments, each once; 1 to 50.
    #[schemars(length(min = 1, max = 50))]
    pub comment_ids: Vec<String>,
    /// Whether they are hidden.
    pub hidden: bool,
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

impl MediaSyncData {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        self.media_id.as_deref().map_or(Ok(()), |media| not_empty("data.media_id", media))
    }
}

impl CommentHideManyData {
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let distinct: std::collections::BTreeSet<&String> = self.comment_ids.iter().collect();
        if self.comment_ids.is_empty() || COMMENTS_MAX < self.comment_ids.len() {
            let reason = format!("name 1 to {COMMENTS_MAX} comments");
            return Err(CommandError::invalid("data.comment_ids", reason));
        }
        if distinct.len() < self.comment_ids.len() {
            return Err(CommandError::invalid("data.comment_ids", "name each comment once"));
        }
        self.comment_ids.iter().try_for_each(|id| not_empty("data.comment_ids", id))
    }
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
