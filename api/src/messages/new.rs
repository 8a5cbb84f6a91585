//! ◆ Pure: the body of an answer, and what can be sent.

use schemas::command::{OutboundAttachment, OutboundQuickReply, ReplyData};
use schemas::window::HUMAN_AGENT;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::extract::{NO_NUL, time_of};
use crate::problem::Problem;

/// A reply: exactly one of text, attachment, template; quick replies go with text.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(crate) struct NewMessage {
    /// Plain text; long text becomes several parts.
    #[schema(example = "Hello, how can we help?")]
    pub text: Option<String>,
    /// A file by URL or by Meta's attachment id.
    pub attachment: Option<NewAttachment>,
    /// A template payload as Meta takes it.
    #[schema(value_type = Option<Object>)]
    pub template: Option<Value>,
    /// At most 13.
    #[serde(default)]
    pub quick_replies: Vec<NewQuickReply>,
    /// Meta's id of the message to quote.
    pub reply_to: Option<String>,
    /// `HUMAN_AGENT`, by a person only: up to 7 days after the person's last message.
    pub tag: Option<String>,
    /// RFC 3339: held until then, and judged when the time comes. `DELETE /v1/replies/{id}` cancels it.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    pub not_before: Option<String>,
}

/// A file to send.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAttachment {
    /// `image`, `video`, `audio` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where Meta fetches it.
    pub url: Option<String>,
    /// Meta's id of an uploaded file.
    pub attachment_id: Option<String>,
    /// Whether Meta keeps it for later sends.
    pub is_reusable: Option<bool>,
}

/// A quick reply to offer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewQuickReply {
    /// At most 20 characters.
    pub title: String,
    /// At most 1000 characters; the title where absent.
    pub payload: Option<String>,
}

impl NewMessage {
    /// As the command carries it. `based_on`: what its author has seen.
    ///
    /// # Errors
    /// 422 naming the field that cannot be sent.
    pub(super) fn into_data(self, based_on: Option<u64>) -> Result<ReplyData, Problem> {
        let not_before = self.not_before.as_deref();
        let not_before = not_before.map(|text| time_of("not_before", text)).transpose()?;
        let data = ReplyData {
            based_on,
            not_before,
            text: self.text,
            attachment: self.attachment.map(|file| OutboundAttachment {
                kind: file.kind,
                url: file.url,
                attachment_id: file.attachment_id,
                is_reusable: file.is_reusable,
            }),
            template: self.template,
            quick_replies: self
                .quick_replies
                .into_iter()
                .map(|reply| OutboundQuickReply { title: reply.title, payload: reply.payload })
                .collect(),
            reply_to: self.reply_to.map(Into::into),
            tag: self.tag,
            caused_by: None,
        };
        data.check()?;
        if data.text.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(Problem::invalid("text", NO_NUL));
        }
        if data.reply_to.as_ref().is_some_and(|id| id.as_str().is_empty()) {
            return Err(Problem::invalid("reply_to", "must not be empty"));
        }
        if data.tag.as_ref().is_some_and(|tag| tag != HUMAN_AGENT) {
            return Err(Problem::invalid(
                "tag",
                "only HUMAN_AGENT is left: Meta retired the other tags",
            ));
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(body: Value) -> Option<String> {
        let body: NewMessage = serde_json::from_value(body).unwrap();
        let problem = body.into_data(None).err()?;
        serde_json::to_value(problem).unwrap()["field"].as_str().map(str::to_owned)
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        assert_eq!(field(json!({"text": "hello"})), None);
        assert_eq!(
            field(json!({"attachment": {"type": "image", "url": "https://example.com/a.png"}})),
            None
        );
        assert_eq!(field(json!({"text": "hello", "tag": "HUMAN_AGENT"})), None);
        for (body, expected) in [
            (json!({}), "text"),
            (json!({"text": "  "}), "text"),
            (json!({"text": "a\u{0}b"}), "text"),
            (
                json!({"text": "a", "attachment": {"type": "image", "url": "https://example.com"}}),
                "text",
            ),
            (
                json!({"attachment": {"type": "gif", "url": "https://example.com"}}),
                "attachment.type",
            ),
            (
                json!({"attachment": {"type": "image", "url": "file:///etc/passwd"}}),
                "attachment.url",
            ),
            (json!({"template": "x"}), "template"),
            (json!({"text": "a", "tag": "ACCOUNT_UPDATE"}), "tag"),
            (json!({"text": "a", "reply_to": ""}), "reply_to"),
            (json!({"text": "a", "quick_replies": [{"title": ""}]}), "quick_replies.title"),
        ] {
            assert_eq!(field(body.clone()).as_deref(), Some(expected), "{body}");
        }
    }
}
