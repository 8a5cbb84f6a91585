//! ◆ Pure: items of `messaging[]` and `standby[]`, the same on both channels (`docs/meta-platform.md` 6.1 and 7.1).

use schemas::facts::{By, MessageEdited, Reaction, Receipt};
use schemas::meta::Node;
use schemas::meta::messenger::MessagingItem;
use schemas::{Fact, Timestamp};

use crate::context::Context;
use crate::messaging_act::{MessagingAct, senderless};
use crate::output::Output;
use crate::{acts, message};
use facts::{Direction, ids};

/// Messages of one receipt that get an event each; what lies beyond is covered by its watermark.
const MIDS_MAX: usize = 1_000;

/// Reads an item of `messaging[]` or `standby[]`.
pub(super) fn read(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    match MessagingItem::read(node) {
        Some(item) => act(context, item),
        None => context.unrecognized("invalid_item", ""),
    }
}

/// Reads the value of a change that is an item, or its bare payload.
pub(super) fn read_change(context: &Context<'_>, node: &Node<'_>, key: &str) -> Vec<Output> {
    match MessagingItem::read_change(node, key) {
        Some(item) => act(context, item),
        None => context.unrecognized("invalid_item", key),
    }
}

fn act(context: &Context<'_>, mut item: MessagingItem<'_>) -> Vec<Output> {
    let known = schemas::meta::messenger::PAYLOAD_KEYS.contains(&item.key.as_str());
    if !known {
        return context.unrecognized("unknown_item", &item.key);
    }
    let Some(payload) = item.payload.take() else {
        return context.unrecognized("invalid_item", &item.key);
    };
    let is_own = |id: Option<&str>| id.is_some_and(|id| context.account.is_self(id));
    let is_self = item.is_self || payload.flag("is_self");
    let by_account = is_own(item.sender.id.as_deref());
    let outbound = payload.flag("is_echo") || by_account || is_self;
    // The other side than the account; on messages to itself that is the account's own id as a person.
    let other = match (outbound, is_own(item.recipient.id.as_deref())) {
        (true, false) => item.recipient.id.as_deref(),
        _ => item.sender.id.as_deref(),
    };
    let contact = context.contact(other);
    let stamp = item.timestamp.map(|time| time.as_millis().to_string()).unwrap_or_default();
    let when = context.when(item.timestamp);
    let act = MessagingAct { contact, outbound, is_self, when, stamp, payload, item };
    let mut outputs = match act.item.key.as_str() {
        "message" => message::read(context, &act),
        "message_edit" => edit(context, &act),
        "reaction" => reaction(context, &act),
        "read" => seen(context, &act),
        "delivery" => delivery(context, &act),
        _ => acts::read(context, &act),
    };
    if act.is_self {
        for output in &mut outputs {
            if let Output::Fact(draft) = output {
                draft.event.data.is_self = true;
            }
        }
    }
    outputs
}

/// `num_edit` 0 says that a message exists; only from 1 it is an edit (`docs/meta-platform.md` 5.1).
fn edit(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let Some(mid) = act.payload.id("mid") else {
        return context.unrecognized("invalid_item", "message_edit");
    };
    let text = act.payload.text("text");
    let number = act.payload.integer("num_edit");
    // Without a count, a text makes it an edit and no hint.
    let is_edit = number.map_or(text.is_some(), |number| number >= 1);
    if !is_edit {
        return senderless(context, act, &mid, 0);
    }
    if act.contact.is_none() && !act.is_self {
        return senderless(context, act, &mid, number.unwrap_or(1));
    }
    let id = ids::edit(context.channel(), &context.account.id, &mid, number, text.as_deref());
    let fact = Fact::MessageEdited(MessageEdited {
        message_id: mid.into(),
        text,
        edit_number: number,
        sender_resolution: None,
    });
    let mut draft = context.draft(id, act.when, act.contact.clone(), fact);
    if act.contact.is_some() {
        let editor = if act.outbound { Direction::Outbound } else { Direction::Inbound };
        draft = draft.with_editor(editor);
    }
    vec![Output::Fact(draft)]
}

fn reaction(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let payload = &act.payload;
    let (Some(mid), Some(action)) = (payload.id("mid"), payload.text("action")) else {
        return context.unrecognized("invalid_item", "reaction");
    };
    let (name, emoji) = (payload.text("reaction"), payload.text("emoji"));
    let by = if act.outbound { By::Account } else { By::Contact };
    let side = if act.outbound { "account" } else { act.who() };
    let id = context
        .id("reaction", &[&mid, side, &action, emoji.as_deref().unwrap_or_default(), &act.stamp]);
    let body = Reaction { message_id: mid.into(), reaction: name, emoji, by };
    let fact = match action.as_str() {
        "react" => Fact::MessageReacted(body),
        "unreact" => Fact::MessageUnreacted(body),
        _ => return context.unrecognized("unknown_item", "reaction.action"),
    };
    context.fact(id, act.when, act.contact.clone(), fact)
}

/// Instagram names the message, Messenger a time up to which everything was read.
fn seen(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let (mid, watermark) = (act.payload.id("mid"), act.payload.time("watermark"));
    let id = match (&mid, watermark, &act.contact) {
        (Some(mid), ..) => context.id("read", &["mid", mid, act.who()]),
        (None, Some(watermark), Some(contact)) => {
            context.id("read", &["watermark", contact.as_str(), &watermark.as_millis().to_string()])
        }
        _ => return context.unrecognized("invalid_item", "read"),
    };
    let fact = Fact::MessageRead(Receipt { message_id: mid.map(Into::into), watermark });
    context.fact(id, act.when, act.contact.clone(), fact)
}

/// One event per mid, each with the watermark; without mids one with the watermark alone. So a receipt is found by its message, and
/// everything before it is covered too.
fn delivery(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let watermark = act.payload.time("watermark");
    let mids = act.payload.list("mids").into_iter().filter_map(schemas::meta::json::id);
    let mids: Vec<String> = mids.take(MIDS_MAX).collect();
    let until =
        watermark.map(Timestamp::as_millis).map(|millis| millis.to_string()).unwrap_or_default();
    if mids.is_empty() {
        if watermark.is_none() || act.contact.is_none() {
            return context.unrecognized("invalid_item", "delivery");
        }
        let id = context.id("delivery", &["watermark", act.who(), &until]);
        let fact = Fact::MessageDelivered(Receipt { message_id: None, watermark });
        return context.fact(id, act.when, act.contact.clone(), fact);
    }
    let mut outputs = Vec::with_capacity(mids.len());
    for mid in mids {
        let id = context.id("delivery", &["mid", &mid, act.who(), &until]);
        let fact = Fact::MessageDelivered(Receipt { message_id: Some(mid.into()), watermark });
        outputs.extend(context.fact(id, act.when, act.contact.clone(), fact));
    }
    outputs
}
