//! ◆ Pure: a command as parts: what each sends, in which lane, and how its effect is recognised afterwards.

mod templates;

use schemas::command::split::{Limit, split};
use schemas::command::{
    Action, BUSINESS_MESSAGING, Command, ConversionData, OutboundAttachment, OutboundQuickReply,
    ReplyData,
};
use schemas::{AccountId, Channel, CommandId, ConversationId};
use serde_json::{Value, json};

use crate::payload::Payload;
use facts::follow_up::content::{self, Content};

/// One effect of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartPlan {
    /// What it does.
    pub(crate) payload: Payload,
    /// What its effect will say.
    pub(crate) content: Content,
    /// Whom or what its effect will be under: as `worker.echoes.peer`.
    pub(crate) peer: String,
}

/// A command as parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CommandPlan {
    /// Commands of one lane take effect in order, one at a time.
    pub(crate) lane: String,
    /// In order; none for commands that only read, for `comment_hide_many`, and for commands about the account or another command, which are no sends.
    pub(crate) parts: Vec<PartPlan>,
}

/// The lane of imports of a whole account.
pub(crate) fn import_lane(channel: Channel, account: &AccountId) -> String {
    format!("sync:{channel}/{account}")
}

/// Plans a command.
pub(crate) fn plan(command: Command) -> CommandPlan {
    let (channel, account) = (command.channel, &command.account_id);
    let contact = command.contact_id.as_ref().map_or("", |contact| contact.as_str()).to_owned();
    let conversation = || {
        command.contact_id.as_ref().map_or_else(String::new, |contact| {
            ConversationId::of(channel, account, contact).into_string()
        })
    };
    let on_comment = |comment: &str| format!("comment:{channel}/{account}/{comment}");
    let single = |lane: String, payload: Payload, content: Content, peer: String| CommandPlan {
        lane,
        parts: vec![PartPlan { payload, content, peer }],
    };
    let planned = |(lane, payload, content, peer)| single(lane, payload, content, peer);
    match command.action {
        Action::Reply(data) => {
            CommandPlan { lane: conversation(), parts: reply(channel, &contact, data) }
        }
        Action::SenderAction(data) => {
            let content = content::of_attachments([data.action.as_str()]);
            let lane = format!("act:{}", conversation());
            single(lane, Payload::SenderAction { action: data.action }, content, contact)
        }
        Action::CommentReply(data) => single(
            on_comment(&data.comment_id),
            Payload::CommentReply { comment_id: data.comment_id.clone(), text: data.text.clone() },
            content::of_text(&data.text),
            data.comment_id,
        ),
        Action::CommentPrivateReply(data) => {
            let payload = Payload::PrivateReply {
                comment_id: data.comment_id.clone(),
                text: data.text.clone(),
            };
            single(on_comment(&data.comment_id), payload, content::of_text(&data.text), contact)
        }
        Action::CommentCreate(data) => single(
            format!("media:{channel}/{account}/{}", data.media_id),
            Payload::CommentCreate { media_id: data.media_id.clone(), text: data.text.clone() },
            content::of_text(&data.text),
            data.media_id,
        ),
        Action::CommentHide(data) => moderation(data.comment_id, on_comment, |comment_id| {
            Payload::CommentHide { comment_id, hidden: true }
        }),
        Action::CommentUnhide(data) => moderation(data.comment_id, on_comment, |comment_id| {
            Payload::CommentHide { comment_id, hidden: false }
        }),
        Action::CommentDelete(data) => moderation(data.comment_id, on_comment, |comment_id| {
            Payload::CommentDelete { comment_id }
        }),
        Action::Sync(data) => {
            // One conversation is imported beside the whole account, not behind it.
            let contact = data.contact_id.as_ref().map(|contact| contact.as_str());
            without_parts(within(import_lane(channel, account), contact))
        }
        Action::MediaSync(data) => {
            let account = format!("media-sync:{channel}/{account}");
            without_parts(within(account, data.media_id.as_deref()))
        }
        Action::CommentHideMany(_) => {
            without_parts(format!("hide:{channel}/{account}/{}", command.id))
        }
        Action::AccountSubscribe(_) | Action::AccountRefresh(_) | Action::AccountDisconnect(_) => {
            without_parts(format!("account:{channel}/{account}"))
        }
        // Beside the lane of the reply: it would wait behind what it is to end.
        Action::ReplyCancel(data) => about(channel, account, &data.reply_id),
        Action::ReplyResolve(data) => about(channel, account, &data.reply_id),
        Action::InsightsRefresh(_) => without_parts(format!("insights:{channel}/{account}")),
        Action::ConversionEvent(data) => conversion(channel, account, &command.id, data),
        Action::TemplateSubmit(data) => planned(templates::submit(channel, account, data)),
        Action::TemplateStatus(data) => {
            without_parts(templates::lane(channel, account, &data.name, &data.language))
        }
        Action::TemplateSend(data) => planned(templates::send(conversation(), contact, data)),
    }
}

fn without_parts(lane: String) -> CommandPlan {
    CommandPlan { lane, parts: Vec::new() }
}

/// The lane of one thing of an account, else of the account.
fn within(account: String, one: Option<&str>) -> String {
    match one {
        Some(one) => format!("{account}/{one}"),
        None => account,
    }
}

/// One event, with the ids of its thread. Events wait for nothing: one of unknown outcome holds up no other.
fn conversion(
    channel: Channel,
    account: &AccountId,
    id: &CommandId,
    data: ConversionData,
) -> CommandPlan {
    let mut user_data = data.user_data;
    let mut join = |name: &str, instead: &str, value: &str| {
        if !user_data.contains_key(name) && !user_data.contains_key(instead) {
            user_data.insert(name.to_owned(), value.into());
        }
    };
    if let Some(contact) = &data.contact_id {
        match channel {
            Channel::Messenger => {
                join("page_id", "", account.as_str());
                join("page_scoped_user_id", "", contact.as_str());
            }
            Channel::Instagram => {
                join("instagram_business_account_id", "ig_account_id", account.as_str());
                join("ig_sid", "", contact.as_str());
            }
        }
    }
    let event_id = data.event_id.unwrap_or_else(|| id.to_string());
    let mut event = json!({
        "event_name": data.event_name, "event_time": data.event_time, "event_id": event_id,
        "action_source": data.action_source, "user_data": user_data,
    });
    if data.action_source == BUSINESS_MESSAGING {
        event["messaging_channel"] = channel.as_str().into();
    }
    if let Some(custom_data) = data.custom_data {
        event["custom_data"] = custom_data.into();
    }
    if let Some(url) = data.event_source_url {
        event["event_source_url"] = url.into();
    }
    let payload = Payload::Conversion {
        dataset_id: data.dataset_id.clone(),
        event,
        contact_id: data.contact_id,
        test_event_code: data.test_event_code,
    };
    // It is reported by nothing, so nothing is ever recognised as its effect.
    let content = content::of_attachments(["conversion", event_id.as_str()]);
    CommandPlan {
        lane: format!("conversion:{channel}/{account}/{id}"),
        parts: vec![PartPlan { payload, content, peer: data.dataset_id }],
    }
}

fn about(channel: Channel, account: &AccountId, reply: &str) -> CommandPlan {
    CommandPlan { lane: format!("about:{channel}/{account}/{reply}"), parts: Vec::new() }
}

fn moderation(
    comment_id: String,
    lane: impl Fn(&str) -> String,
    payload: impl Fn(String) -> Payload,
) -> CommandPlan {
    let lane = lane(&comment_id);
    // No item of its own is made, so nothing is ever recognised by content.
    let content = content::of_attachments(["moderation", comment_id.as_str()]);
    let peer = comment_id.clone();
    CommandPlan { lane, parts: vec![PartPlan { payload: payload(comment_id), content, peer }] }
}

fn reply(channel: Channel, contact: &str, data: ReplyData) -> Vec<PartPlan> {
    let mut messages: Vec<(Value, Content)> = Vec::new();
    if let Some(text) = &data.text {
        for part in split(text, Limit::of(channel)) {
            messages.push((json!({ "text": part }), content::of_text(&part)));
        }
        // Buttons stand under the whole text.
        if let Some((last, _)) = messages.last_mut()
            && !data.quick_replies.is_empty()
        {
            last["quick_replies"] = data.quick_replies.iter().map(quick_reply).collect();
        }
    } else if let Some(file) = &data.attachment {
        messages.push((attachment(file), content::of_attachments([file.kind.as_str()])));
    } else if let Some(template) = &data.template {
        let message = json!({ "attachment": { "type": "template", "payload": template } });
        messages.push((message, content::of_attachments(["template"])));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(n, (message, content))| PartPlan {
            payload: Payload::Message {
                message,
                reply_to: data.reply_to.as_ref().filter(|_| n == 0).map(ToString::to_string),
                tag: data.tag.clone(),
            },
            content,
            peer: contact.to_owned(),
        })
        .collect()
}

fn quick_reply(reply: &OutboundQuickReply) -> Value {
    let payload = reply.payload.as_ref().unwrap_or(&reply.title);
    json!({ "content_type": "text", "title": reply.title, "payload": payload })
}

fn attachment(file: &OutboundAttachment) -> Value {
    let mut payload = serde_json::Map::new();
    if let Some(url) = &file.url {
        payload.insert("url".to_owned(), url.as_str().into());
    }
    if let Some(id) = &file.attachment_id {
        payload.insert("attachment_id".to_owned(), id.as_str().into());
    }
    if let Some(reusable) = file.is_reusable {
        payload.insert("is_reusable".to_owned(), reusable.into());
    }
    json!({ "attachment": { "type": file.kind, "payload": payload } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Repeat;

    fn plan_of(channel: &str, name: &str, data: Value) -> CommandPlan {
        let command: Command = serde_json::from_value(json!({
            "id": "r1", "channel": channel, "account_id": "1", "contact_id": "5200000000000011", "command": name,
            "requested_by": {"kind": "person", "name": "anna"}, "requested_at": "2026-11-21T10:00:00.000Z", "data": data
        }))
        .unwrap();
        plan(command)
    }

    #[test]
    fn long_text_is_parts_with_the_quote_first_and_the_buttons_last() {
        let text = "word ".repeat(300);
        let data = json!({"text": text, "reply_to": "m1", "quick_replies": [{"title": "Yes"}]});
        let plan = plan_of("instagram", "reply", data);
        assert_eq!(plan.parts.len(), 2);
        let wire: Vec<Value> =
            plan.parts.iter().map(|part| serde_json::to_value(&part.payload).unwrap()).collect();
        assert_eq!((wire[0]["reply_to"].as_str(), wire[1].get("reply_to")), (Some("m1"), None));
        assert!(wire[0]["message"].get("quick_replies").is_none());
        assert_eq!(wire[1]["message"]["quick_replies"][0]["payload"], "Yes");
    }

    #[test]
    fn replies_of_one_person_share_a_lane_and_typing_does_not_hold_them_up() {
        let reply = plan_of("messenger", "reply", json!({"text": "a"}));
        let other = plan_of(
            "messenger",
            "reply",
            json!({"attachment": {"type": "image", "url": "https://x/y"}}),
        );
        let typing = plan_of("messenger", "sender_action", json!({"action": "typing_on"}));
        assert_eq!(reply.lane, other.lane);
        assert_ne!(reply.lane, typing.lane);
        assert_eq!(typing.parts[0].payload.repeat(), Repeat::OneTry);
    }

    #[test]
    fn comments_are_never_repeated() {
        for name in ["comment_hide", "comment_unhide", "comment_delete"] {
            let plan = plan_of("instagram", name, json!({"comment_id": "179"}));
            assert_eq!(plan.parts[0].payload.repeat(), Repeat::Never);
        }
    }

    #[test]
    fn a_conversion_carries_the_ids_of_its_thread_and_is_never_repeated() {
        let event = |contact: Value| {
            json!({
                "action_source": "business_messaging", "contact_id": contact, "dataset_id": "66",
                "event_name": "LeadSubmitted", "event_time": 1_794_999_000, "user_data": {"ig_sid": "1"},
            })
        };
        let of = |channel: &str, contact: Value| {
            let plan = plan_of(channel, "conversion_event", event(contact));
            assert_eq!(plan.parts[0].payload.repeat(), Repeat::Unseen);
            serde_json::to_value(&plan.parts[0].payload).unwrap()["event"].clone()
        };
        let page = of("messenger", json!("73"));
        assert_eq!(page["user_data"]["page_scoped_user_id"], "73");
        assert_eq!(
            (&page["event_id"], &page["messaging_channel"]),
            (&json!("r1"), &json!("messenger"))
        );
        let instagram = of("instagram", json!("52"));
        assert_eq!(
            instagram["user_data"],
            json!({"ig_sid": "1", "instagram_business_account_id": "1"})
        );
        assert!(of("instagram", Value::Null)["user_data"].get("page_id").is_none());
    }

    #[test]
    fn a_template_is_a_message_of_its_conversation() {
        let data = json!({"name": "order", "language": "en_US", "parameters": [{"text": "A-7"}]});
        let send = plan_of("messenger", "template_send", data);
        let reply = plan_of("messenger", "reply", json!({"text": "a"}));
        assert_eq!(send.lane, reply.lane);
        assert_eq!(send.parts[0].payload.repeat(), Repeat::AfterProof);
        let wire = serde_json::to_value(&send.parts[0].payload).unwrap();
        assert_eq!(wire["template"]["language"]["code"], "en_US");
        assert_eq!(wire["template"]["components"][0]["parameters"][0]["text"], "A-7");
    }

    #[test]
    fn one_conversation_is_imported_beside_the_account() {
        let account = plan_of("instagram", "sync", json!({}));
        let one = plan_of("instagram", "sync", json!({"contact_id": "5200000000000011"}));
        assert!(account.parts.is_empty() && one.parts.is_empty());
        assert_eq!(one.lane, format!("{}/5200000000000011", account.lane));
    }
}
