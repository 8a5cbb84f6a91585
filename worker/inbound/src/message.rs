//! ◆ Pure: messages in either direction (`docs/meta-platform.md` 6.1 and 7.1).

use std::collections::HashSet;

use schemas::Fact;
use schemas::facts::{Attachment, Message, MessageDeleted, QuickReply, ReplyTo, Story};
use schemas::meta::Node;
use schemas::meta::messenger::referral;
use serde_json::Value;

use crate::context::Context;
use crate::messaging_act::{MessagingAct, senderless};
use crate::output::Output;
use facts::{Direction, MessageFact, ids};

/// Reads a `message`.
pub(super) fn read(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let payload = &act.payload;
    let Some(mid) = payload.id("mid") else {
        return context.unrecognized("invalid_item", "message");
    };
    if payload.flag("is_deleted") {
        return deleted(context, act, &mid);
    }
    // A plugin's person is known by a reference only; anybody else without a usable id is looked up by the mid.
    let by_reference = act.item.sender.user_ref.is_some() || act.item.recipient.user_ref.is_some();
    if act.contact.is_none() && !act.is_self && !by_reference {
        return senderless(context, act, &mid, 0);
    }
    let id = ids::message(context.channel(), &context.account.id, &mid);
    let mut body = content(payload);
    body.message_id = mid.clone().into();
    if body.referral.is_none() {
        body.referral = act.item.referral.as_ref().map(referral);
    }
    let (fact, direction) = if act.outbound {
        body.app_id = payload.id("app_id");
        body.metadata = payload.text("metadata");
        (Fact::MessageSent(body), Direction::Outbound)
    } else {
        body.user_ref = act.user_ref();
        (Fact::MessageReceived(body), Direction::Inbound)
    };
    let draft = context.draft(id, act.when, act.contact.clone(), fact);
    vec![Output::Fact(draft.with_message(MessageFact::of(mid.into(), direction)))]
}

/// The author unsent a message.
fn deleted(context: &Context<'_>, act: &MessagingAct<'_>, mid: &str) -> Vec<Output> {
    let id = ids::deleted(context.channel(), &context.account.id, mid);
    context.fact(
        id,
        act.when,
        act.contact.clone(),
        Fact::MessageDeleted(MessageDeleted { message_id: mid.into() }),
    )
}

/// What a message says, without who said it.
fn content(payload: &Node<'_>) -> Message {
    let attachments = attachments(payload);
    let unsupported = payload.flag("is_unsupported")
        || attachments.iter().any(|attachment| attachment.kind == "unsupported_type");
    Message {
        text: payload.text("text"),
        quick_reply: payload
            .node("quick_reply")
            .and_then(|quick_reply| quick_reply.text("payload"))
            .map(|payload| QuickReply { payload }),
        reply_to: payload.node("reply_to").and_then(|reply_to| reply(&reply_to)),
        referral: payload.node("referral").as_ref().map(referral),
        unsupported: unsupported.then_some(true),
        attachments,
        ..Message::default()
    }
}

fn reply(node: &Node<'_>) -> Option<ReplyTo> {
    let story =
        node.node("story").map(|story| Story { id: story.id("id"), url: story.text("url") });
    let reply = ReplyTo { message_id: node.id("mid").map(Into::into), story };
    (reply != ReplyTo::default()).then_some(reply)
}

fn attachments(payload: &Node<'_>) -> Vec<Attachment> {
    let mut all: Vec<Attachment> = payload
        .list("attachments")
        .into_iter()
        .filter_map(Node::parse)
        .map(|attachment| read_attachment(&attachment))
        .collect();
    drop_sticker_twins(&mut all);
    all
}

fn read_attachment(node: &Node<'_>) -> Attachment {
    let payload = node.json("payload");
    let mut attachment = Attachment {
        kind: node.text("type").unwrap_or_else(|| "unknown".to_owned()),
        url: node.text("url"),
        title: node.text("title"),
        payload: None,
    };
    match payload {
        Some(Value::Object(mut fields)) => {
            take_text(&mut fields, "url", &mut attachment.url);
            take_text(&mut fields, "title", &mut attachment.title);
            if !fields.is_empty() {
                attachment.payload = Some(Value::Object(fields));
            }
        }
        Some(Value::Null) | None => {}
        Some(other) => attachment.payload = Some(other),
    }
    attachment
}

/// Moves a text out of the payload; the one beside the payload stays when the payload has none.
fn take_text(fields: &mut serde_json::Map<String, Value>, name: &str, into: &mut Option<String>) {
    if let Some(Value::String(text)) = fields.get(name) {
        *into = Some(text.clone());
        fields.remove(name);
    }
}

/// For a while Meta sent each sticker a second time, as an image (`docs/meta-platform.md` 7.1).
fn drop_sticker_twins(attachments: &mut Vec<Attachment>) {
    let mark = |attachment: &Attachment| {
        let payload = attachment.payload.as_ref();
        payload.and_then(|payload| payload.get("sticker_id")).map(ToString::to_string)
    };
    let stickers = || attachments.iter().filter(|attachment| attachment.kind == "sticker");
    let marks: HashSet<String> = stickers().filter_map(mark).collect();
    let links: HashSet<String> = stickers().filter_map(|sticker| sticker.url.clone()).collect();
    attachments.retain(|attachment| {
        attachment.kind != "image"
            || !(mark(attachment).is_some_and(|mark| marks.contains(&mark))
                || attachment.url.as_ref().is_some_and(|url| links.contains(url)))
    });
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        attachments(&Node::parse(&raw).unwrap())
            .into_iter()
            .map(|attachment| attachment.kind)
            .collect()
    }

    #[test]
    fn a_sticker_and_its_image_are_one_sticker() {
        let twins = r#"{"attachments":[{"type":"image","payload":{"url":"u","sticker_id":369}},
            {"type":"sticker","payload":{"url":"v","sticker_id":"369"}},{"type":"image","payload":{"url":"w"}}]}"#;
        assert_eq!(kinds(twins), ["sticker", "image"]);
        let same_link = r#"{"attachments":[{"type":"sticker","payload":{"url":"u"}},{"type":"image","payload":{"url":"u"}}]}"#;
        assert_eq!(kinds(same_link), ["sticker"]);
    }

    #[test]
    fn attachments_of_every_form_pass() {
        let all = r#"{"attachments":[{"type":"ephemeral"},{"type":"template","payload":null},{"payload":{"url":"u"}},null,
            {"type":"fallback","url":"a","title":"b","payload":{"x":1}}]}"#;
        assert_eq!(kinds(all), ["ephemeral", "template", "unknown", "fallback"]);
    }
}
