//! ◆ Pure: what a command asks for.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::conversion::ConversionData;
use super::error::{CommandError, describe};
use super::fields::{
    AccountData, CommentCreateData, CommentHideManyData, CommentRef, CommentTextData,
    MediaSyncData, ReplyRef, ResolveData, SenderActionData, SyncData,
};
use super::insights::InsightsData;
use super::limits;
use super::reply::ReplyData;
use super::template::{TemplateRef, TemplateSendData, TemplateSubmitData, check_channel};
use crate::Channel;

/// The names of all commands of the contract.
pub const COMMANDS: [&str; 21] = [
    "reply",
    "sender_action",
    "comment_reply",
    "comment_private_reply",
    "comment_create",
    "comment_hide",
    "comment_unhide",
    "comment_delete",
    "comment_hide_many",
    "media_sync",
    "sync",
    "account_subscribe",
    "account_refresh",
    "account_disconnect",
    "reply_cancel",
    "reply_resolve",
    "insights_refresh",
    "conversion_event",
    "template_submit",
    "template_status",
    "template_send",
];

/// What a command asks for, with its fields. Serialises as the command's `data`; the name stands beside it ([`Action::name`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Action {
    /// `reply`
    Reply(ReplyData),
    /// `sender_action`: one try.
    SenderAction(SenderActionData),
    /// `comment_reply`
    CommentReply(CommentTextData),
    /// `comment_private_reply`
    CommentPrivateReply(CommentTextData),
    /// `comment_create`
    CommentCreate(CommentCreateData),
    /// `comment_hide`
    CommentHide(CommentRef),
    /// `comment_unhide`
    CommentUnhide(CommentRef),
    /// `comment_delete`
    CommentDelete(CommentRef),
    /// `comment_hide_many`: becomes one command for each comment.
    CommentHideMany(CommentHideManyData),
    /// `media_sync`: reads media or posts with their comments.
    MediaSync(MediaSyncData),
    /// `sync`
    Sync(SyncData),
    /// `account_subscribe`: asks Meta for the webhook fields.
    AccountSubscribe(AccountData),
    /// `account_refresh`: asks Meta for a new token.
    AccountRefresh(AccountData),
    /// `account_disconnect`: takes the subscription away and destroys the token.
    AccountDisconnect(AccountData),
    /// `reply_cancel`: ends a reply that is not under way.
    ReplyCancel(ReplyRef),
    /// `reply_resolve`: a person found what became of a reply whose outcome is unknown.
    ReplyResolve(ResolveData),
    /// `insights_refresh`: reads figures.
    InsightsRefresh(InsightsData),
    /// `conversion_event`: one event of the Conversions API.
    ConversionEvent(ConversionData),
    /// `template_submit`
    TemplateSubmit(TemplateSubmitData),
    /// `template_status`
    TemplateStatus(TemplateRef),
    /// `template_send`
    TemplateSend(TemplateSendData),
}

impl Action {
    /// Reads name and `data` of a command. What the fields may hold is judged by [`Action::check`].
    ///
    /// # Errors
    /// [`CommandError::Unknown`], or [`CommandError::Invalid`] where a field is missing or has the wrong type.
    pub fn read(name: &str, data: &Value) -> Result<Self, CommandError> {
        Ok(match name {
            "reply" => Self::Reply(fields(data)?),
            "sender_action" => Self::SenderAction(fields(data)?),
            "comment_reply" => Self::CommentReply(fields(data)?),
            "comment_private_reply" => Self::CommentPrivateReply(fields(data)?),
            "comment_create" => Self::CommentCreate(fields(data)?),
            "comment_hide" => Self::CommentHide(fields(data)?),
            "comment_unhide" => Self::CommentUnhide(fields(data)?),
            "comment_delete" => Self::CommentDelete(fields(data)?),
            "comment_hide_many" => Self::CommentHideMany(fields(data)?),
            "media_sync" if data.is_null() => Self::MediaSync(MediaSyncData::default()),
            "media_sync" => Self::MediaSync(fields(data)?),
            "sync" if data.is_null() => Self::Sync(SyncData::default()),
            "sync" => Self::Sync(fields(data)?),
            "account_subscribe" => Self::AccountSubscribe(AccountData {}),
            "account_refresh" => Self::AccountRefresh(AccountData {}),
            "account_disconnect" => Self::AccountDisconnect(AccountData {}),
            "reply_cancel" => Self::ReplyCancel(fields(data)?),
            "reply_resolve" => Self::ReplyResolve(fields(data)?),
            "insights_refresh" => Self::InsightsRefresh(fields(data)?),
            "conversion_event" => Self::ConversionEvent(fields(data)?),
            "template_submit" => Self::TemplateSubmit(fields(data)?),
            "template_status" => Self::TemplateStatus(fields(data)?),
            "template_send" => Self::TemplateSend(fields(data)?),
            other => return Err(CommandError::Unknown(other.chars().take(64).collect())),
        })
    }

    /// The name of the command: one of [`COMMANDS`].
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reply(_) => "reply",
            Self::SenderAction(_) => "sender_action",
            Self::CommentReply(_) => "comment_reply",
            Self::CommentPrivateReply(_) => "comment_private_reply",
            Self::CommentCreate(_) => "comment_create",
            Self::CommentHide(_) => "comment_hide",
            Self::CommentUnhide(_) => "comment_unhide",
            Self::CommentDelete(_) => "comment_delete",
            Self::CommentHideMany(_) => "comment_hide_many",
            Self::MediaSync(_) => "media_sync",
            Self::Sync(_) => "sync",
            Self::AccountSubscribe(_) => "account_subscribe",
            Self::AccountRefresh(_) => "account_refresh",
            Self::AccountDisconnect(_) => "account_disconnect",
            Self::ReplyCancel(_) => "reply_cancel",
            Self::ReplyResolve(_) => "reply_resolve",
            Self::InsightsRefresh(_) => "insights_refresh",
            Self::ConversionEvent(_) => "conversion_event",
            Self::TemplateSubmit(_) => "template_submit",
            Self::TemplateStatus(_) => "template_status",
            Self::TemplateSend(_) => "template_send",
        }
    }

    /// Checks what can be checked without knowing the account and the conversation.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self, channel: Channel) -> Result<(), CommandError> {
        match self {
            Self::Reply(data) => {
                data.check()?;
                data.text.as_deref().map_or(Ok(()), |text| limits::check_parts(channel, text))
            }
            Self::SenderAction(data) => data.check(),
            Self::CommentReply(data) => data.check(),
            Self::CommentPrivateReply(data) => {
                data.check()?;
                limits::check_single(channel, &data.text)
            }
            Self::CommentCreate(data) => data.check(),
            Self::CommentHide(data) | Self::CommentUnhide(data) | Self::CommentDelete(data) => {
                data.check()
            }
            Self::CommentHideMany(data) => data.check(),
            Self::MediaSync(data) => data.check(),
            Self::ReplyCancel(data) => data.check(),
            Self::ReplyResolve(data) => data.check(),
            Self::InsightsRefresh(data) => data.check(),
            Self::ConversionEvent(data) => data.check(),
            Self::TemplateSubmit(data) => {
                check_channel(channel)?;
                data.check()
            }
            Self::TemplateStatus(data) => {
                check_channel(channel)?;
                data.check()
            }
            Self::TemplateSend(data) => {
                check_channel(channel)?;
                data.check()
            }
            Self::Sync(_)
            | Self::AccountSubscribe(_)
            | Self::AccountRefresh(_)
            | Self::AccountDisconnect(_) => Ok(()),
        }
    }

    /// Whether it is about the account itself: no send, and carried out although the account is stopped.
    pub const fn is_about_account(&self) -> bool {
        matches!(
            self,
            Self::AccountSubscribe(_) | Self::AccountRefresh(_) | Self::AccountDisconnect(_)
        )
    }

    /// Whether it is about another command of the ledger: no send, and carried out whatever holds sending up.
    pub const fn is_about_reply(&self) -> bool {
        matches!(self, Self::ReplyCancel(_) | Self::ReplyResolve(_))
    }

    /// The media or post it is about.
    pub(super) fn media_id(&self) -> Option<&str> {
        match self {
            Self::CommentCreate(data) => Some(&data.media_id),
            Self::MediaSync(data) => data.media_id.as_deref(),
            Self::InsightsRefresh(data) => data.id.as_deref(),
            _ => None,
        }
    }
}

fn fields<T: DeserializeOwned>(data: &Value) -> Result<T, CommandError> {
    T::deserialize(data).map_err(|error| CommandError::invalid("data", describe(&error)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_reads_as_the_action_of_that_name_and_fields_keep_the_order_of_their_names() {
        let all = json!({
            "action": "typing_on", "action_source": "website", "as": "sent", "attachment": {"attachment_id": "1", "is_reusable": true, "type": "file", "url": "https://x"},
            "caused_by": "evt_1", "category": "UTILITY", "components": [], "comment_id": "1", "comment_ids": ["1", "2"], "contact_id": "2", "dataset_id": "9", "event_name": "Lead", "event_time": 1, "hidden": true, "id": "4", "language": "en_US", "media_id": "3", "name": "order", "parameters": [{"name": "a", "text": "b"}], "message_id": "mid", "metrics": ["reach"], "period": "day",
            "quick_replies": [{"payload": "p", "title": "t"}], "reason": "seen in the thread", "reply_id": "rpl_1", "reply_to": "m", "scope": "media", "since": "2026-11-21T10:00:00.000Z", "tag": "HUMAN_AGENT",
            "template": {"b": 1, "a": 2.50}, "text": "hi"
        });
        for name in COMMANDS {
            let action = Action::read(name, &all).unwrap();
            assert_eq!(action.name(), name);
            let written = serde_json::to_string(&action).unwrap();
            let sorted = serde_json::from_str::<Value>(&written).unwrap().to_string();
            assert_eq!(written, sorted, "{name}");
        }
    }
}
