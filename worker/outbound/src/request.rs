//! ◆ Pure: the HTTP request of a part, per channel and connection (docs/meta-platform.md 8.1, 8.3).

use schemas::Channel;
use serde_json::{Value, json};

use crate::payload::Payload;
use facts::accounts::directory::Login;

/// What is asked of Graph.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// The Send API, with this body.
    Send(Value),
    /// `POST /{path}` with these parameters.
    Post {
        /// Below the version.
        path: String,
        /// Name and value.
        params: Vec<(&'static str, String)>,
    },
    /// `POST /{page}/{edge}` with this body.
    OnPage {
        /// Below the page.
        edge: &'static str,
        /// The body.
        body: Value,
    },
    /// `POST /{path…}` with this body.
    Json {
        /// Parts of the path below the version.
        path: Vec<String>,
        /// The body.
        body: Value,
    },
    /// `DELETE /{path}`
    Delete {
        /// Below the version.
        path: String,
    },
}

/// Builds the request of a part. `key` is echoed back by Messenger as `metadata`.
pub(crate) fn request(
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
        Payload::TemplateSubmit { name, language, category, components, parameter_format } => {
            let mut body = json!({
                "name": name, "language": language, "category": category, "components": components,
            });
            if let Some(format) = parameter_format {
                body["parameter_format"] = format.as_str().into();
            }
            Request::OnPage { edge: "message_templates", body }
        }
        Payload::TemplateSend { template } => Request::Send(json!({
            "recipient": person, "messaging_type": "UTILITY",
            "message": { "template": template, "metadata": key },
        })),
        Payload::Conversion { dataset_id, event, test_event_code, .. } => {
            // One event a request: a wrong one refuses no other.
            let mut body = json!({ "data": [event] });
            if let Some(code) = test_event_code {
                body["test_event_code"] = code.as_str().into();
            }
            Request::Json { path: vec![dataset_id.clone(), "events".to_owned()], body }
        }
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
    use schemas::Command;

    use super::*;
    use crate::plan::plan;

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

    const CONNECTIONS: [(Channel, Login); 3] = [
        (Channel::Messenger, Login::Facebook),
        (Channel::Instagram, Login::Facebook),
        (Channel::Instagram, Login::Instagram),
    ];

    /// docs/meta-platform.md 8.1, row by row: what is asked for, the message, what stands beside it.
    fn kinds() -> [(Value, Value, Value); 7] {
        let template = json!({"template_type": "generic", "elements": [{"title": "Lamp"}]});
        [
            (json!({"text": "hi"}), json!({"text": "hi"}), json!({})),
            (
                json!({"text": "hi", "quick_replies": [{"title": "Yes"}, {"title": "No", "payload": "NO"}]}),
                json!({"text": "hi", "quick_replies": [
                    {"content_type": "text", "title": "Yes", "payload": "Yes"},
                    {"content_type": "text", "title": "No", "payload": "NO"}]}),
                json!({}),
            ),
            (
                json!({"attachment": {"type": "audio", "url": "https://x/a.mp4", "is_reusable": false}}),
                json!({"attachment": {"type": "audio", "payload": {"url": "https://x/a.mp4", "is_reusable": false}}}),
                json!({}),
            ),
            (
                json!({"attachment": {"type": "file", "attachment_id": "17"}}),
                json!({"attachment": {"type": "file", "payload": {"attachment_id": "17"}}}),
                json!({}),
            ),
            (
                json!({"template": template}),
                json!({"attachment": {"type": "template", "payload": template}}),
                json!({}),
            ),
            (
                json!({"text": "hi", "reply_to": "m1"}),
                json!({"text": "hi"}),
                json!({"reply_to": {"mid": "m1"}}),
            ),
            (
                json!({"text": "hi", "tag": "HUMAN_AGENT"}),
                json!({"text": "hi"}),
                json!({"tag": "HUMAN_AGENT"}),
            ),
        ]
    }

    #[test]
    fn every_kind_of_reply_has_its_body_on_every_connection() {
        for (channel, login) in CONNECTIONS {
            for (data, message, beside) in kinds() {
                let command: Command = serde_json::from_value(json!({
                    "id": "r", "channel": channel, "account_id": "1", "contact_id": "52", "command": "reply",
                    "requested_by": {"kind": "person", "name": "anna"}, "requested_at": "2026-11-21T10:00:00.000Z", "data": data,
                }))
                .unwrap();
                let parts = plan(command).parts;
                let mut expected = beside;
                expected["recipient"] = json!({"id": "52"});
                expected["message"] = message;
                if channel == Channel::Messenger {
                    expected["message"]["metadata"] = "k".into();
                }
                if login == Login::Facebook {
                    let tagged = expected.get("tag").is_some();
                    expected["messaging_type"] =
                        if tagged { "MESSAGE_TAG" } else { "RESPONSE" }.into();
                }
                assert_eq!(parts.len(), 1);
                check(&parts[0].payload, channel, login, expected);
            }
        }
    }

    #[test]
    fn sender_actions_and_private_replies_have_their_body_on_every_connection() {
        for (channel, login) in CONNECTIONS {
            for action in ["typing_on", "typing_off", "mark_seen"] {
                let payload = Payload::SenderAction { action: action.to_owned() };
                let body = json!({"recipient": {"id": "52"}, "sender_action": action});
                check(&payload, channel, login, body);
            }
            let private =
                Payload::PrivateReply { comment_id: "179".to_owned(), text: "hi".to_owned() };
            let Request::Send(body) = request(&private, channel, login, "", "k") else {
                panic!("no send")
            };
            assert_eq!(body["recipient"], json!({"comment_id": "179"}));
            assert_eq!(body["message"]["text"], "hi");
        }
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
