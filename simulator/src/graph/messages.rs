//! The Send API (docs/meta-platform.md 8.1, 11, 12).

use serde_json::{Value, json};

use super::ask::{After, Ask, Done};
use super::error::GraphError;
use super::templates;
use crate::echo::attachments_of;
use crate::model::{
    Channel, HUMAN_AGENT_WINDOW, Message, PRIVATE_REPLY_WINDOW, Person, Side, WINDOW,
};

const QUICK_REPLIES_MAX: usize = 13;
const QUICK_REPLY_TITLE_MAX: usize = 20;
const PAYLOAD_MAX: usize = 1000;
const ELEMENTS_MAX: usize = 10;
const BUTTONS_MAX: usize = 3;

pub(super) fn send(mut ask: Ask<'_>) -> Done {
    match take(&mut ask) {
        Ok(message) => Done {
            answer: Ok(json!({"recipient_id": message.person, "message_id": message.mid})),
            created: Some(message.mid.clone()),
            after: After::Sent(Box::new(message)),
        },
        Err(error) => Err(error).into(),
    }
}

fn take(ask: &mut Ask<'_>) -> Result<Message, GraphError> {
    let node = ask.request.segment(0).to_owned();
    if !ask.names_account(&node) {
        return Err(GraphError::unsupported(&node, "post"));
    }
    let recipient = recipient(ask)?;
    let mut content = ask.request.params.get("message").cloned().unwrap_or(Value::Null);
    let is_template = ask.request.text("messaging_type").as_deref() == Some("UTILITY");
    if is_template {
        // Its echo shows what it says.
        content["text"] = templates::rendered(ask, &content["template"])?.into();
    }
    check_content(ask.account.channel, &content)?;
    let tag = check_tag(ask)?;
    let text_of = |key: &str| recipient.get(key).and_then(Value::as_str);
    let (person, comment) = match (text_of("comment_id"), text_of("id")) {
        (Some(comment), _) => (private_reply_to(ask, comment)?, Some(comment.to_owned())),
        (None, Some(id)) => (reachable(ask, id)?, None),
        (None, None) => return Err(GraphError::parameter("Param recipient must name an id")),
    };
    if comment.is_none() && !is_template {
        check_window(ask, &person, tag.as_deref())?;
    }
    let reply_to = quoted(ask, &person)?;
    let at = ask.world.next_time(&person.id, ask.now, false);
    let mid = ask.world.mint_mid(&person, at);
    let mut message = ask.world.blank(&mid, &person, Side::Account, at);
    message.text = content.get("text").and_then(Value::as_str).map(str::to_owned);
    message.attachments = attachments_of(&content);
    message.metadata = content.get("metadata").and_then(Value::as_str).map(str::to_owned);
    message.reply_to = reply_to;
    message.private_reply_to.clone_from(&comment);
    message.tag = tag;
    message.sent = content;
    ask.world.insert_message(message.clone());
    if let Some(comment) = comment.and_then(|id| ask.world.comments.get_mut(&id)) {
        comment.private_reply = Some(mid);
    }
    Ok(message)
}

fn recipient(ask: &Ask<'_>) -> Result<Value, GraphError> {
    match ask.request.params.get("recipient") {
        Some(Value::Object(fields)) => Ok(Value::Object(fields.clone())),
        Some(_) => Err(GraphError::parameter("Param recipient must be a JSON object")),
        None => Err(GraphError::parameter("The parameter recipient is required")),
    }
}

fn check_content(channel: Channel, content: &Value) -> Result<(), GraphError> {
    if !content.is_object() {
        return Err(GraphError::parameter("The parameter message is required"));
    }
    let instagram = channel == Channel::Instagram;
    let text = content.get("text").map(|text| text.as_str().unwrap_or(""));
    let attachments = attachments_of(content);
    match text {
        Some("") => {
            return Err(GraphError::parameter("Param message[text] must be a non-empty string"));
        }
        None if attachments.is_empty() => {
            return Err(GraphError::parameter(
                "Message cannot be empty, must provide valid attachment or text",
            ));
        }
        // Bytes on Instagram, characters on Messenger (docs/meta-platform.md 12).
        Some(text) if instagram && 1000 < text.len() => {
            return Err(GraphError::text_too_long(true));
        }
        Some(text) if !instagram && 2000 < text.chars().count() => {
            return Err(GraphError::text_too_long(false));
        }
        _ => {}
    }
    let most = if instagram { 10 } else { 30 };
    if most < attachments.len() {
        return Err(GraphError::parameter("Param message[attachments] has too many entries"));
    }
    attachments.iter().try_for_each(check_attachment)?;
    let long = |field: &str| {
        content.get(field).and_then(Value::as_str).is_some_and(|s| PAYLOAD_MAX < s.chars().count())
    };
    if long("metadata") {
        return Err(GraphError::parameter("Param message[metadata] is longer than 1000"));
    }
    check_quick_replies(content)
}

fn check_quick_replies(content: &Value) -> Result<(), GraphError> {
    let Some(replies) = content.get("quick_replies") else { return Ok(()) };
    let Some(replies) = replies.as_array().filter(|list| list.len() <= QUICK_REPLIES_MAX) else {
        return Err(GraphError::parameter("Param message[quick_replies] must have at most 13"));
    };
    for reply in replies {
        let length = |key: &str| reply.get(key).and_then(Value::as_str).map(|s| s.chars().count());
        if reply.get("content_type").and_then(Value::as_str) == Some("text")
            && (length("title").is_none_or(|n| n == 0 || QUICK_REPLY_TITLE_MAX < n)
                || length("payload").is_none_or(|n| PAYLOAD_MAX < n))
        {
            return Err(GraphError::parameter(
                "Param message[quick_replies] needs title (at most 20) and payload (at most 1000)",
            ));
        }
    }
    Ok(())
}

fn check_attachment(attachment: &Value) -> Result<(), GraphError> {
    let kind = attachment.get("type").and_then(Value::as_str).unwrap_or("");
    let payload = attachment.get("payload");
    let has = |key: &str| payload.is_some_and(|payload| payload.get(key).is_some());
    let complete = match kind {
        "image" | "video" | "audio" | "file" => has("url") || has("attachment_id"),
        "template" => has("template_type"),
        "like_heart" => true,
        "MEDIA_SHARE" => has("id"),
        _ => false,
    };
    if !complete {
        return Err(GraphError::parameter("Param message[attachment] is not a valid attachment"));
    }
    let list = |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
    let elements = payload.and_then(|payload| payload.get("elements"));
    let too_many_buttons = elements
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(payload)
        .any(|part| BUTTONS_MAX < list(part.get("buttons")));
    if ELEMENTS_MAX < list(elements) || too_many_buttons {
        return Err(GraphError::parameter("Param message[attachment] has too many elements"));
    }
    Ok(())
}

/// Only `HUMAN_AGENT` is left; the older tags end in code 100 since 2026-04-27 (docs/meta-platform.md 11).
fn check_tag(ask: &Ask<'_>) -> Result<Option<String>, GraphError> {
    let kind = ask.request.text("messaging_type");
    let tag = ask.request.text("tag");
    match (kind.as_deref(), tag.as_deref()) {
        (_, Some("HUMAN_AGENT")) => Ok(tag),
        (_, Some(_)) | (Some("MESSAGE_TAG"), None) => Err(GraphError::tag_removed()),
        (None | Some("RESPONSE" | "UPDATE" | "UTILITY"), None) => Ok(None),
        (Some(_), None) => Err(GraphError::parameter(
            "Param messaging_type must be one of {RESPONSE, UPDATE, MESSAGE_TAG}",
        )),
    }
}

fn reachable(ask: &Ask<'_>, id: &str) -> Result<Person, GraphError> {
    let person = ask.world.people.get(id).filter(|person| person.account == ask.account);
    let Some(person) = person else {
        return Err(GraphError::no_such_person(ask.instagram()));
    };
    if person.blocks {
        return Err(GraphError::not_available());
    }
    if person.thread_elsewhere {
        return Err(GraphError::not_thread_owner());
    }
    Ok(person.clone())
}

fn check_window(ask: &Ask<'_>, person: &Person, tag: Option<&str>) -> Result<(), GraphError> {
    let allowed = if tag.is_some() { HUMAN_AGENT_WINDOW } else { WINDOW };
    match person.window_opened {
        Some(opened) if ask.now - opened <= allowed => Ok(()),
        _ => Err(GraphError::window_closed(ask.instagram())),
    }
}

/// One private reply per comment, within 7 days (docs/meta-platform.md 8.3).
fn private_reply_to(ask: &Ask<'_>, comment: &str) -> Result<Person, GraphError> {
    let instagram = ask.instagram();
    let comment = ask.world.comments.get(comment).filter(|known| known.account == ask.account);
    let Some(comment) = comment else { return Err(GraphError::cannot_reply(instagram)) };
    if comment.private_reply.is_some() {
        return Err(GraphError::replied_already(instagram));
    }
    if comment.deleted || PRIVATE_REPLY_WINDOW < ask.now - comment.at {
        return Err(GraphError::cannot_reply(instagram));
    }
    let Some(person) = comment.person.as_deref() else {
        return Err(GraphError::cannot_reply(instagram));
    };
    reachable(ask, person)
}

fn quoted(ask: &Ask<'_>, person: &Person) -> Result<Option<String>, GraphError> {
    let Some(reply_to) = ask.request.params.get("reply_to") else { return Ok(None) };
    let mid = reply_to.get("mid").and_then(Value::as_str).unwrap_or("");
    match ask.world.messages.get(mid) {
        Some(message) if message.person == person.id => Ok(Some(mid.to_owned())),
        _ => Err(GraphError::parameter("Param reply_to[mid] is not a message of this thread")),
    }
}

pub(super) fn sender_action(ask: Ask<'_>) -> Result<Value, GraphError> {
    let action = ask.request.text("sender_action").unwrap_or_default();
    if !ask.names_account(ask.request.segment(0)) {
        return Err(GraphError::unsupported(ask.request.segment(0), "post"));
    }
    let recipient = recipient(&ask)?;
    let id = recipient.get("id").and_then(Value::as_str).unwrap_or("");
    let person = reachable(&ask, id)?;
    if ask.request.params.contains_key("message") {
        return Err(GraphError::parameter("Param sender_action cannot go with a message"));
    }
    match action.as_str() {
        "typing_on" | "typing_off" | "mark_seen" => {}
        "react" | "unreact" => {
            let payload = ask.request.params.get("payload");
            let part = |key: &str| payload.and_then(|p| p.get(key)).and_then(Value::as_str);
            let mid = part("message_id").unwrap_or("").to_owned();
            let reaction = part("reaction").unwrap_or("love").to_owned();
            let account = ask.account.id.clone();
            let message = ask.world.messages.get_mut(&mid).filter(|m| m.person == person.id);
            let Some(message) = message else {
                return Err(GraphError::parameter("Param payload[message_id] is not known"));
            };
            if action == "react" {
                message.reactions.insert(account, reaction);
            } else {
                message.reactions.remove(&account);
            }
        }
        other => {
            return Err(GraphError::parameter(&format!(
                "Param sender_action must be one of {{mark_seen, react, typing_off, typing_on, unreact}} - got \"{other}\"."
            )));
        }
    }
    Ok(json!({"recipient_id": person.id}))
}
