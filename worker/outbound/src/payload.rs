//! ◆ Pure: what one part of a command does, as the ledger keeps it, and the key its effect is recognised by.

use schemas::ContactId;
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
    /// Asks Meta to approve a message template.
    TemplateSubmit {
        /// Its name at Meta.
        name: String,
        /// Its language.
        language: String,
        /// `UTILITY`.
        category: String,
        /// As Meta takes them.
        components: Value,
        /// `POSITIONAL` or `NAMED`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameter_format: Option<String>,
    },
    /// Sends a message template to a person.
    TemplateSend {
        /// The `template` of the Send API.
        template: Value,
    },
    /// Reports one event to the Conversions API.
    Conversion {
        /// Where to.
        dataset_id: String,
        /// As Meta takes it; the last ad is joined when it is sent.
        event: Value,
        /// Whose thread it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
        /// Shows it under Test Events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_event_code: Option<String>,
    },
}

impl Payload {
    /// How its outcome may be found out.
    pub(crate) const fn repeat(&self) -> Repeat {
        match self {
            Self::Message { .. } | Self::TemplateSend { .. } => Repeat::AfterProof,
            Self::SenderAction { .. } => Repeat::OneTry,
            Self::Conversion { .. } => Repeat::Unseen,
            _ => Repeat::Never,
        }
    }

    /// The ad that a conversion is joined with.
    pub(crate) fn ad_id(&self) -> Option<&str> {
        match self {
            Self::Conversion { event, .. } => event["custom_data"]["ad_id"].as_str(),
            _ => None,
        }
    }

    /// With the ad that brought the person here. What the caller says of an ad stays.
    pub(crate) fn with_ad(mut self, ad: Option<&str>) -> Self {
        if let (Self::Conversion { event, .. }, Some(ad)) = (&mut self, ad)
            && event["custom_data"].get("ad_id").is_none()
        {
            event["custom_data"]["ad_id"] = ad.into();
        }
        self
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
            Self::Message { .. } | Self::PrivateReply { .. } | Self::TemplateSend { .. } => {
                EchoKind::Message
            }
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
