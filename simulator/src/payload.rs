//! ◆ Pure: the items and bodies of webhooks, key for key as Meta writes them (docs/meta-platform.md 4, 6, 7).

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::json::{Node, object};
use crate::model::{AccountKey, AccountSpec, Channel, Comment};

/// Where an item stands inside its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Envelope {
    /// `entry[].messaging[]`.
    #[default]
    Messaging,
    /// `entry[].standby[]`: another app owns the thread.
    Standby,
    /// `entry[].changes[]` with `field` and `value`.
    Changes,
    /// `field` and `value` directly on the entry.
    Flat,
}

/// One item of a webhook.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Whose webhook it is.
    pub account: AccountKey,
    /// Items with the same key reach the webhook in the order they happened.
    pub order: String,
    /// Where it stands.
    pub envelope: Envelope,
    /// The subscription field it belongs to, written in `changes[]`.
    pub field: &'static str,
    /// The item itself.
    pub node: Node,
}

/// The people of a messaging item and when it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties<'a> {
    /// Who did it.
    pub sender: &'a str,
    /// To whom.
    pub recipient: &'a str,
    /// When, by Meta's clock.
    pub at: DateTime<Utc>,
}

fn messaging(parties: Parties<'_>) -> Node {
    object([
        ("sender", object([("id", parties.sender.into())])),
        ("recipient", object([("id", parties.recipient.into())])),
        ("timestamp", parties.at.timestamp_millis().into()),
    ])
}

/// What a message says beside its mid.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Its text.
    pub text: Option<String>,
    /// Attachments as Meta writes them.
    pub attachments: Vec<Value>,
    /// Payload of the quick reply that was tapped.
    pub quick_reply: Option<String>,
    /// The message it quotes.
    pub reply_to: Option<String>,
    /// Further keys of `message` (`referral`, `is_unsupported`, `reply_to.story`, …).
    pub extra: Vec<(String, Value)>,
}

/// A message of a person.
pub(crate) fn message(parties: Parties<'_>, mid: &str, content: &Content) -> Node {
    messaging(parties).with("message", message_body(mid, content))
}

fn message_body(mid: &str, content: &Content) -> Node {
    let attachments: Vec<Node> = content.attachments.iter().cloned().map(Node::from).collect();
    let body = object([("mid", mid.into())])
        .with_some("text", content.text.clone())
        .with_some("attachments", (!attachments.is_empty()).then_some(attachments))
        .with_some(
            "quick_reply",
            content.quick_reply.as_deref().map(|payload| object([("payload", payload.into())])),
        )
        .with_some(
            "reply_to",
            content.reply_to.as_deref().map(|mid| object([("mid", mid.into())])),
        );
    content.extra.iter().fold(body, |body, (key, value)| body.with(key, value.clone()))
}

/// The echo of a message the account sent. Messenger names app and metadata, Instagram does not (6.1, 7.1).
pub(crate) fn echo(
    parties: Parties<'_>,
    mid: &str,
    content: &Content,
    app: Option<(u64, Option<&str>)>,
) -> Node {
    let flagged = match app {
        Some((app_id, metadata)) => {
            object([("mid", mid.into()), ("is_echo", true.into()), ("app_id", app_id.into())])
                .with_some("metadata", metadata)
        }
        None => object([("mid", mid.into())]),
    };
    let Node::Object(rest) = message_body(mid, content) else { return Node::Null };
    let body = rest
        .into_iter()
        .filter(|(key, _)| key != "mid")
        .fold(flagged, |body, (key, value)| body.with(&key, value));
    let body = if app.is_none() { body.with("is_echo", true) } else { body };
    messaging(parties).with("message", body)
}

/// A real edit: `number` is 1 or more.
pub(crate) fn edit(parties: Parties<'_>, mid: &str, text: &str, number: u32) -> Node {
    messaging(parties).with(
        "message_edit",
        object([
            ("mid", mid.into()),
            ("text", text.into()),
            ("num_edit", i64::from(number).into()),
        ]),
    )
}

/// "A message with this mid exists": `num_edit` 0, with or without sender (5.1).
pub(crate) fn hint(parties: Parties<'_>, mid: &str, with_sender: bool) -> Node {
    let head = if with_sender {
        messaging(parties)
    } else {
        object([("timestamp", parties.at.timestamp_millis().into())])
    };
    head.with("message_edit", object([("mid", mid.into()), ("num_edit", 0_i64.into())]))
}

/// An unsend.
pub(crate) fn deleted(parties: Parties<'_>, mid: &str) -> Node {
    messaging(parties).with("message", object([("mid", mid.into()), ("is_deleted", true.into())]))
}

/// A reaction with its name and emoji, or its withdrawal when none is given.
pub(crate) fn reaction(parties: Parties<'_>, mid: &str, given: Option<(&str, &str)>) -> Node {
    let body = match given {
        Some((name, emoji)) => object([
            ("mid", mid.into()),
            ("action", "react".into()),
            ("reaction", name.into()),
            ("emoji", emoji.into()),
        ]),
        None => object([("mid", mid.into()), ("action", "unreact".into())]),
    };
    messaging(parties).with("reaction", body)
}

/// Instagram's read receipt names one message, Messenger's a time up to which everything is read.
pub(crate) fn read(
    parties: Parties<'_>,
    channel: Channel,
    mid: &str,
    watermark: DateTime<Utc>,
) -> Node {
    let body = match channel {
        Channel::Instagram => object([("mid", mid.into())]),
        Channel::Messenger => object([("watermark", watermark.timestamp_millis().into())]),
    };
    messaging(parties).with("read", body)
}

/// Messenger's delivery receipt; the item has no timestamp (7.1).
pub(crate) fn delivery(parties: Parties<'_>, mids: &[String], watermark: DateTime<Utc>) -> Node {
    let mids: Vec<Node> = mids.iter().map(|mid| mid.as_str().into()).collect();
    object([
        ("sender", object([("id", parties.sender.into())])),
        ("recipient", object([("id", parties.recipient.into())])),
        (
            "delivery",
            object([("mids", mids.into()), ("watermark", watermark.timestamp_millis().into())]),
        ),
    ])
}

/// A tap on a button, menu entry or ice breaker.
pub(crate) fn postback(parties: Parties<'_>, mid: &str, title: &str, payload: &str) -> Node {
    messaging(parties).with(
        "postback",
        object([("mid", mid.into()), ("title", title.into()), ("payload", payload.into())]),
    )
}

/// A link of the account (`ig.me`, `m.me`) opened in a thread that exists.
pub(crate) fn referral(parties: Parties<'_>, channel: Channel, reference: &str) -> Node {
    let source = match channel {
        Channel::Instagram => "IGME-SOURCE-LINK",
        Channel::Messenger => "SHORTLINK",
    };
    messaging(parties).with(
        "referral",
        object([
            ("ref", reference.into()),
            ("source", source.into()),
            ("type", "OPEN_THREAD".into()),
        ]),
    )
}

/// What happened to a Page comment (`verb` of the feed change).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedVerb {
    /// Written.
    Add,
    /// Changed.
    Edited,
    /// Deleted.
    Remove,
    /// Hidden.
    Hide,
    /// Shown again.
    Unhide,
}

impl FeedVerb {
    fn as_str(self) -> &'static str {
        match self {
            FeedVerb::Add => "add",
            FeedVerb::Edited => "edited",
            FeedVerb::Remove => "remove",
            FeedVerb::Hide => "hide",
            FeedVerb::Unhide => "unhide",
        }
    }
}

/// The value of an Instagram `comments` change; creation is all Instagram reports (6.2).
pub(crate) fn instagram_comment(
    comment: &Comment,
    author: (&str, &str),
    own_scoped: Option<&str>,
) -> Node {
    let from = object([("id", author.0.into()), ("username", author.1.into())])
        .with_some("self_ig_scoped_id", own_scoped);
    object([
        ("from", from),
        (
            "media",
            object([("id", comment.media.as_str().into()), ("media_product_type", "FEED".into())]),
        ),
        ("id", comment.id.as_str().into()),
    ])
    .with_some("parent_id", comment.parent.as_deref())
    .with("text", comment.text.as_str())
}

/// The value of a Page `feed` change about a comment (7.2).
pub(crate) fn page_comment(
    comment: &Comment,
    verb: FeedVerb,
    author: (&str, &str),
    at: DateTime<Utc>,
) -> Node {
    let parent = comment.parent.as_deref().unwrap_or(&comment.media);
    let value = object([
        ("item", "comment".into()),
        ("verb", verb.as_str().into()),
        ("comment_id", comment.id.as_str().into()),
        ("post_id", comment.media.as_str().into()),
        ("parent_id", parent.into()),
        ("from", object([("id", author.0.into()), ("name", author.1.into())])),
    ]);
    match verb {
        FeedVerb::Remove => value,
        FeedVerb::Edited => value
            .with("created_time", comment.at.timestamp())
            .with("edited_time", graph_time(at))
            .with("message", comment.text.as_str()),
        FeedVerb::Add | FeedVerb::Hide | FeedVerb::Unhide => value
            .with("created_time", comment.at.timestamp())
            .with("message", comment.text.as_str()),
    }
}

/// A time as Graph writes it: seconds, offset without colon.
pub(crate) fn graph_time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// One POST body: neighbours of one account and one envelope share an entry.
pub(crate) fn body(channel: Channel, items: &[&Item], sent_at: DateTime<Utc>) -> Vec<u8> {
    let mut entries: Vec<Node> = Vec::new();
    let mut rest = items;
    while let Some(first) = rest.first() {
        let alike = |item: &&Item| {
            item.account == first.account
                && item.envelope == first.envelope
                && first.envelope != Envelope::Flat
        };
        let length = rest.iter().take_while(|item| alike(item)).count().max(1);
        let (now, later) = rest.split_at(length);
        entries.push(entry(channel, first, now, sent_at));
        rest = later;
    }
    let name = match channel {
        Channel::Instagram => "instagram",
        Channel::Messenger => "page",
    };
    object([("object", name.into()), ("entry", entries.into())]).to_meta_bytes()
}

fn entry(channel: Channel, first: &Item, items: &[&Item], sent_at: DateTime<Utc>) -> Node {
    let id = Node::from(first.account.id.as_str());
    let (millis, seconds) = (sent_at.timestamp_millis().into(), sent_at.timestamp().into());
    let head = match (first.envelope, channel) {
        (Envelope::Messaging | Envelope::Standby, Channel::Instagram) => {
            object([("time", millis), ("id", id)])
        }
        (Envelope::Messaging | Envelope::Standby, Channel::Messenger) => {
            object([("id", id), ("time", millis)])
        }
        (Envelope::Changes | Envelope::Flat, _) => object([("id", id), ("time", seconds)]),
    };
    let nodes = || items.iter().map(|item| item.node.clone()).collect::<Vec<Node>>();
    let change = |item: &Item| object([("field", item.field.into()), ("value", item.node.clone())]);
    match first.envelope {
        Envelope::Messaging => head.with("messaging", nodes()),
        Envelope::Standby => head.with("standby", nodes()),
        Envelope::Changes => {
            head.with("changes", items.iter().map(|item| change(item)).collect::<Vec<Node>>())
        }
        Envelope::Flat => head.with("field", first.field).with("value", first.node.clone()),
    }
}

/// Name and handle by which an account signs its own comments.
pub(crate) fn own_author(account: &AccountSpec) -> (&str, &str) {
    match account.channel {
        Channel::Instagram => (&account.id, &account.username),
        Channel::Messenger => (&account.id, &account.name),
    }
}

#[cfg(test)]
mod tests;
