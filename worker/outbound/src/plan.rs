//! ◆ Pure: a command as parts: what each sends, in which lane, and how its effect is recognised afterwards.

use schemas::command::split::{Limit, split};
use schemas::command::{Action, Command, OutboundAttachment, OutboundQuickReply, ReplyData};
use schemas::{AccountId, Channel, ConversationId};
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

/// Why a command cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    /// The contract names it, this version does not carry it out.
    #[error("`{0}` is not carried out by this version")]
    Unsupported(&'static str),
}

/// The lane of imports of a whole account.
pub(crate) fn import_lane(channel: Channel, account: &AccountId) -> String {
    format!("sync:{channel}/{account}")
}

/// Plans a command.
///
/// # Errors
/// [`PlanError`]
pub(crate) fn plan(command: Command) -> Result<CommandPlan, PlanError> {
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
    Ok(match command.action {
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
            let account = import_lane(channel, account);
            // One conversation is imported beside the whole account, not behind it.
            let lane = match data.contact_id {
                Some(contact) => format!("{account}/{contact}"),
                None => account,
            };
            CommandPlan { lane, parts: Vec::new() }
        }
        Action::MediaSync(data) => {
            let account = format!("media-sync:{channel}/{account}");
            let lane = match data.media_id {
                Some(media) => format!("{account}/{media}"),
                None => account,
            };
            CommandPlan { lane, parts: Vec::new() }
        }
        Action::CommentHideMany(_) => {
            let lane = format!("hide:{channel}/{account}/{}", command.id);
            CommandPlan { lane, parts: Vec::new() }
        }
        Action::AccountSubscribe(_) | Action::AccountRefresh(_) | Action::AccountDisconnect(_) => {
            CommandPlan { lane: format!("account:{channel}/{account}"), parts: Vec::new() }
        }
        // Beside the lane of the reply: it would wait behind what it is to end.
        Action::ReplyCancel(data) => about(channel, account, &data.reply_id),
        Action::ReplyResolve(data) => about(channel, account, &data.reply_id),
        Action::InsightsRefresh(_) => {
            CommandPlan { lane: format!("insights:{channel}/{account}"), parts: Vec::new() }
        }
        later @ (Action::ConversionEvent(_)
        | Action::TemplateSubmit(_)
        | Action::TemplateStatus(_)
        | Action::TemplateSend(_)) => return Err(PlanError::Unsupported(later.name())),
    })
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

    fn plan_of(channel: &str, name: &str, data: Value) -> Result<CommandPlan, PlanError> {
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
        let plan = plan_of("instagram", "reply", data).unwrap();
        assert_eq!(plan.parts.len(), 2);
        let wire: Vec<Value> =
            plan.parts.iter().map(|part| serde_json::to_value(&part.payload).unwrap()).collect();
        assert_eq!((wire[0]["reply_to"].as_str(), wire[1].get("reply_to")), (Some("m1"), None));
        assert!(wire[0]["message"].get("quick_replies").is_none());
        assert_eq!(wire[1]["message"]["quick_replies"][0]["payload"], "Yes");
    }

    #[test]
    fn replies_of_one_person_share_a_lane_and_typing_does_not_hold_them_up() {
        let reply = plan_of("messenger", "reply", json!({"text": "a"})).unwrap();
        let other = plan_of(
            "messenger",
            "reply",
            json!({"attachment": {"type": "image", "url": "https://x/y"}}),
        )
        .unwrap();
        let typing = plan_of("messenger", "sender_action", json!({"action": "typing_on"})).unwrap();
        assert_eq!(reply.lane, other.lane);
        assert_ne!(reply.lane, typing.lane);
        assert_eq!(typing.parts[0].payload.repeat(), Repeat::OneTry);
    }

    #[test]
    fn comments_are_never_repeated_and_unbuilt_commands_say_so() {
        for name in ["comment_hide", "comment_unhide", "comment_delete"] {
            let plan = plan_of("instagram", name, json!({"comment_id": "179"})).unwrap();
            assert_eq!(plan.parts[0].payload.repeat(), Repeat::Never);
        }
        assert_eq!(
            plan_of("instagram", "template_send", json!({})),
            Err(PlanError::Unsupported("template_send"))
        );
    }

    #[test]
    fn one_conversation_is_imported_beside_the_account() {
        let account = plan_of("instagram", "sync", json!({})).unwrap();
        let one = plan_of("instagram", "sync", json!({"contact_id": "5200000000000011"})).unwrap();
        assert!(account.parts.is_empty() && one.parts.is_empty());
        assert_eq!(one.lane, format!("{}/5200000000000011", account.lane));
    }
}
