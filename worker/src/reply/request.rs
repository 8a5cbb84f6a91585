//! ◆ Pure: the HTTP request of a part, per channel and connection (`meta-platform.md` sections 8.1 and 8.3).

use schemas::Channel;
use serde_json::{Value, json};

use super::plan::Payload;
use crate::accounts::directory::Login;

/// What is asked of Graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The Send API, with this body.
    Send(Value),
    /// `POST /{path}` with these parameters.
    Post {
        /// Below the version.
        path: String,
        /// Name and value.
        params: Vec<(&'static str, String)>,
    },
    /// `DELETE /{path}`
    Delete {
        /// Below the version.
        path: String,
    },
}

/// Builds the request of a part. `key` is echoed back by Messenger as `metadata`.
pub fn request(
    payload: &Payload,
    channel: Channel,
    login: Login,
    contact: &str,
    key: &str,
) -> Request {
    let person = json!({ "id": contact });
    match payload {
        Payload::Message { message, reply_to, tag } => {
            let mut body = send(person, message.clone(), channel, login, tag.as_deref(), key);
            if let Some(quoted) = reply_to {
                body["reply_to"] = json!({ "mid": quoted });
            }
            Request::Send(body)
        }
        Payload::SenderAction { action } => {
            Request::Send(json!({ "recipient": person, "sender_action": action }))
        }
        Payload::PrivateReply { comment_id, text } => {
            let recipient = json!({ "comment_id": comment_id });
            Request::Send(send(recipient, json!({ "text": text }), channel, login, None, key))
        }
        Payload::CommentReply { comment_id, text } => Request::Post {
            path: match channel {
                Channel::Instagram => format!("{comment_id}/replies"),
                Channel::Messenger => format!("{comment_id}/comments"),
            },
            params: vec![("message", text.clone())],
        },
        Payload::CommentCreate { media_id, text } => Request::Post {
            path: format!("{media_id}/comments"),
            params: vec![("message", text.clone())],
        },
        Payload::CommentHide { comment_id, hidden } => {
            let name = match channel {
                Channel::Instagram => "hide",
                Channel::Messenger => "is_hidden",
            };
            Request::Post { path: comment_id.clone(), params: vec![(name, hidden.to_string())] }
        }
        Payload::CommentDelete { comment_id } => Request::Delete { path: comment_id.clone() },
    }
}

fn send(
    recipient: Value,
    mut message: Value,
    channel: Channel,
    login: Login,
    tag: Option<&str>,
    key: &str,
) -> Value {
    if channel == Channel::Messenger {
        message["metadata"] = key.into();
    }
    let mut body = json!({ "recipient": recipient, "message": message });
    // Instagram Login takes the tag alone; the Messenger Platform wants a type with it.
    if login == Login::Facebook {
        body["messaging_type"] = if tag.is_some() { "MESSAGE_TAG" } else { "RESPONSE" }.into();
    }
    if let Some(tag) = tag {
        body["tag"] = tag.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tag: Option<&str>) -> Payload {
        Payload::Message {
            message: json!({"text": "hi"}),
            reply_to: Some("m1".to_owned()),
            tag: tag.map(str::to_owned),
        }
    }

    fn check(payload: &Payload, channel: Channel, login: Login, expected: Value) {
        let Request::Send(body) = request(payload, channel, login, "52", "k") else {
            panic!("no send")
        };
        assert_eq!(body, expected);
    }

    #[test]
    fn each_connection_has_its_body() {
        let (recipient, quote) = (json!({"id": "52"}), json!({"mid": "m1"}));
        check(
            &text(None),
            Channel::Messenger,
            Login::Facebook,
            json!({"recipient": recipient, "message": {"text": "hi", "metadata": "k"}, "messaging_type": "RESPONSE", "reply_to": quote}),
        );
        check(
            &text(Some("HUMAN_AGENT")),
            Channel::Instagram,
            Login::Facebook,
            json!({"recipient": recipient, "message": {"text": "hi"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT", "reply_to": quote}),
        );
        check(
            &text(Some("HUMAN_AGENT")),
            Channel::Instagram,
            Login::Instagram,
            json!({"recipient": recipient, "message": {"text": "hi"}, "tag": "HUMAN_AGENT", "reply_to": quote}),
        );
        check(
            &Payload::SenderAction { action: "typing_on".to_owned() },
            Channel::Messenger,
            Login::Facebook,
            json!({"recipient": recipient, "sender_action": "typing_on"}),
        );
    }

    #[test]
    fn comments_differ_by_channel() {
        let reply = Payload::CommentReply { comment_id: "1".to_owned(), text: "a".to_owned() };
        let hide = Payload::CommentHide { comment_id: "1".to_owned(), hidden: true };
        let path = |payload: &Payload, channel| match request(
            payload,
            channel,
            Login::Facebook,
            "",
            "k",
        ) {
            Request::Post { path, params } => (path, params[0].0),
            other => panic!("{other:?}"),
        };
        assert_eq!(path(&reply, Channel::Instagram), ("1/replies".to_owned(), "message"));
        assert_eq!(path(&reply, Channel::Messenger), ("1/comments".to_owned(), "message"));
        assert_eq!(path(&hide, Channel::Instagram), ("1".to_owned(), "hide"));
        assert_eq!(path(&hide, Channel::Messenger), ("1".to_owned(), "is_hidden"));
    }
}
