//! ◆ Pure: the fields of `reply`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::error::{CommandError, not_empty};
use crate::{EventId, MessageId, Timestamp};

/// `reply`: exactly one of text, attachment, template; quick replies go with text.
// The fields of every command stand in the order of their names: bytes on the wire and digests depend on it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyData {
    /// A file by URL or by Meta's attachment id.
    pub attachment: Option<OutboundAttachment>,
    /// What its author had seen of INBOX_EVENTS: the position, as cursors of the api have it with its era ([`Place`](crate::Place)). Refused
    /// with `overtaken` where the conversation has a later act of the person, or a later reply of a person or another app.
    pub based_on: Option<u64>,
    /// The event it answers.
    pub caused_by: Option<EventId>,
    /// Held until then, and judged like any other when the time comes.
    pub not_before: Option<Timestamp>,
    /// At most 13.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quick_replies: Vec<OutboundQuickReply>,
    /// The message to quote.
    pub reply_to: Option<MessageId>,
    /// `HUMAN_AGENT`, by a person only.
    pub tag: Option<String>,
    /// A template payload as Meta takes it (`template_type`, `elements`, …).
    pub template: Option<Value>,
    /// Plain text; long text becomes several parts.
    pub text: Option<String>,
}

/// Longest address of a file.
const URL_BYTES_MAX: usize = 8 << 10;

/// A file to send.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutboundAttachment {
    /// Meta's id of an uploaded file.
    pub attachment_id: Option<String>,
    /// Whether Meta keeps it for later sends.
    pub is_reusable: Option<bool>,
    /// `image`, `video`, `audio`, `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where Meta fetches it.
    pub url: Option<String>,
}

/// A quick reply to offer.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutboundQuickReply {
    /// At most 1000 characters; the title where absent.
    pub payload: Option<String>,
    /// At most 20 characters.
    pub title: String,
}

/// Whether Meta can fetch this: an absolute `http` or `https` URL with a host. The parser drops line ends and tabs and trims blanks, and
/// Meta gets the text as it is: so none may stand in it.
fn is_web_address(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && text.len() <= URL_BYTES_MAX
        && url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|host| !host.is_empty())
                && text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://"))
        })
}

impl ReplyData {
    /// What can be read of fields that were refused, so that the outcome can say what was to be sent.
    pub fn readable(data: &Value) -> Self {
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        let object = |name: &str| data.get(name).filter(|value| value.is_object());
        Self {
            attachment: object("attachment").map(|file| OutboundAttachment {
                kind: text(file, "type").unwrap_or_else(|| "file".to_owned()),
                url: text(file, "url"),
                ..OutboundAttachment::default()
            }),
            reply_to: text(data, "reply_to").map(Into::into),
            template: object("template").cloned(),
            text: text(data, "text"),
            ..Self::default()
        }
    }

    /// Checks the fields: one kind of content, and the limits of docs/meta-platform.md 12 that splitting cannot meet.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        let contents = [self.text.is_some(), self.attachment.is_some(), self.template.is_some()];
        match contents.iter().filter(|present| **present).count() {
            0 => {
                return Err(CommandError::invalid(
                    "data.text",
                    "a reply needs text, an attachment or a template",
                ));
            }
            1 => {}
            _ => {
                return Err(CommandError::invalid(
                    "data.text",
                    "a reply has one of text, attachment, template",
                ));
            }
        }
        if let Some(text) = &self.text {
            not_empty("data.text", text.trim())?;
        }
        if let Some(attachment) = &self.attachment {
            if !["image", "video", "audio", "file"].contains(&attachment.kind.as_str()) {
                return Err(CommandError::invalid(
                    "data.attachment.type",
                    "use image, video, audio or file",
                ));
            }
            match (&attachment.url, &attachment.attachment_id) {
                (Some(url), None) if is_web_address(url) => {}
                (Some(_), None) => {
                    return Err(CommandError::invalid("data.attachment.url", "not an http(s) URL"));
                }
                (None, Some(id)) => not_empty("data.attachment.attachment_id", id)?,
                _ => {
                    return Err(CommandError::invalid(
                        "data.attachment",
                        "exactly one of url, attachment_id",
                    ));
                }
            }
        }
        if self.template.as_ref().is_some_and(|template| !template.is_object()) {
            return Err(CommandError::invalid("data.template", "must be an object"));
        }
        if self.quick_replies.len() > 13 {
            return Err(CommandError::invalid("data.quick_replies", "at most 13"));
        }
        if !self.quick_replies.is_empty() && self.text.is_none() {
            return Err(CommandError::invalid("data.quick_replies", "only with text"));
        }
        for reply in &self.quick_replies {
            if reply.title.trim().is_empty() || reply.title.chars().count() > 20 {
                return Err(CommandError::invalid(
                    "data.quick_replies.title",
                    "1 to 20 characters",
                ));
            }
            if reply.payload.as_ref().is_some_and(|payload| payload.chars().count() > 1000) {
                return Err(CommandError::invalid(
                    "data.quick_replies.payload",
                    "at most 1000 characters",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_file_is_parsed() {
        for good in [
            "https://x/y.png",
            "HTTPS://Example.com/a?b=c#d",
            "http://[::1]:8080/a",
            "https://example.com/%0D%0A/ä",
        ] {
            assert!(is_web_address(good), "{good}");
        }
        let bad = [
            "https://x/\r\nX: y",
            "https://x/\ny",
            "https://x/a b",
            " https://x/",
            "https://",
            "http:///",
            "https:x\t/y",
            "ftp://x/y",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "//x/y",
            "x/y",
            "https:x/y",
            "https:\\\\x/y",
            "",
            "https://x/\u{85}y",
        ];
        for bad in bad {
            assert!(!is_web_address(bad), "{bad:?}");
        }
    }
}
