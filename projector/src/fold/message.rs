//! ◆ Pure: one row per message, from everything that was ever said about its mid (contract section 8).

use schemas::facts::{Attachment, By, Message, Reply, ReplyTo};
use schemas::{AccountId, Channel, ContactId, ConversationId, EventId, Fact, Kind, Timestamp, Via};
use serde::Serialize;
use serde_json::{Value, json};

use super::piece::{Piece, Said};

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the person.
    Inbound,
    /// From the account.
    Outbound,
    /// A message is known to exist; who wrote it is not.
    Unknown,
}

impl Direction {
    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Unknown => "unknown",
        }
    }
}

/// The present reaction of one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReactionNow {
    /// Who reacted.
    pub by: By,
    /// Meta's word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaction: Option<String>,
    /// The emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// A row of `messages`. What also depends on other rows (watermark receipts, whose app it is) is added by the database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageRow {
    /// See [`schemas::ids::message_row_id`].
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// The person, where known.
    pub contact_id: Option<ContactId>,
    /// The conversation, where the person is known.
    pub conversation_id: Option<ConversationId>,
    /// The mid; the event's id for a postback without one.
    pub message_id: String,
    /// Which way it went.
    pub direction: Direction,
    /// A stub: only edits, deletions, reactions or receipts have come. Or nobody knows the person.
    pub hidden: bool,
    /// The text as it is now.
    pub text: Option<String>,
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// `{payload}` of a tapped quick reply.
    pub quick_reply: Option<Value>,
    /// `{title, payload}` of a postback.
    pub postback: Option<Value>,
    /// The quoted message or story.
    pub reply_to: Option<Value>,
    /// The present reactions, the contact's first.
    pub reactions: Vec<ReactionNow>,
    /// What brought the person here.
    pub referral: Option<Value>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// `sent_at` is that of the delivery.
    pub time_approximate: bool,
    /// When the shown text was written, where it was changed.
    pub edited_at: Option<Timestamp>,
    /// When it was unsent.
    pub deleted_at: Option<Timestamp>,
    /// Outbound: earliest delivery receipt that names it.
    pub delivered_by_id: Option<Timestamp>,
    /// Outbound: earliest read receipt that names it.
    pub read_by_id: Option<Timestamp>,
    /// The reply of ours that made it.
    pub reply_id: Option<String>,
    /// Outbound: the app that sent it.
    pub app_id: Option<String>,
    /// Another app owned the conversation.
    pub standby: bool,
    /// The account wrote to itself.
    pub is_self: bool,
    /// Known from an import only.
    pub backfilled: bool,
    /// Meta does not show this content to apps.
    pub unsupported: bool,
    /// The content could not be read, or was erased.
    pub content_missing: bool,
    /// How the sender was found; `unresolved` while it was not.
    pub sender_resolution: Option<String>,
    /// Counts as unread unless the conversation was read after it: inbound, not deleted, not backfilled.
    pub counts_unread: bool,
    /// Opens the 24 h window: a message or postback of the person. Also in standby and when unsent later, since the person did
    /// act; not when the account wrote to itself (`meta-platform.md` sections 6.1 and 11).
    pub opens_window: bool,
    /// The event that tells what the row is.
    pub event_id: EventId,
}

/// Whether the content of a message was erased by its unsending. A withdrawn deletion erases too: what was removed cannot come back,
/// so it must not matter whether the withdrawal came first.
pub fn is_erased(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| piece.kind == Kind::MessageDeleted)
}

/// The row of one mid; `None` when nothing holds any more.
pub fn message_row(id: &str, pieces: &[Piece]) -> Option<MessageRow> {
    let erased = is_erased(pieces);
    let mut all: Vec<(&Piece, &Said)> = holding(pieces).collect();
    all.sort_by(|a, b| b.0.precedence().cmp(&a.0.precedence()));
    let originals: Vec<(&Piece, &Said)> =
        all.iter().copied().filter(|(piece, _)| is_original(piece.kind)).collect();
    let unresolved = all
        .iter()
        .copied()
        .find(|(piece, said)| piece.kind == Kind::SenderUnresolved && said.contact_id.is_some());
    // What is known of a message beats that it was unresolved; with neither the row is a stub.
    let identity = originals.first().copied().or(unresolved);
    let (shown, shown_said) =
        identity.or_else(|| all.iter().copied().min_by_key(|(piece, _)| piece.moment()))?;
    if identity.is_none() && all.iter().all(|(piece, _)| piece.kind == Kind::SenderUnresolved) {
        return None;
    }
    // The person may be told by a later piece than the one that decides the rest.
    let contact_id = shown_said
        .contact_id
        .clone()
        .or_else(|| all.iter().find_map(|(_, said)| said.contact_id.clone()));
    let conversation_id = contact_id
        .as_ref()
        .map(|contact| ConversationId::of(shown_said.channel, &shown_said.account_id, contact));
    let direction =
        originals.first().map_or(Direction::Unknown, |(piece, _)| direction_of(piece.kind));
    let hidden = identity.is_none() || conversation_id.is_none();
    // An exact time beats one taken from the delivery.
    let timed = originals
        .iter()
        .find(|(_, said)| !said.time_approximate)
        .map_or((shown, shown_said), |exact| *exact);
    let (sent_at, time_approximate) = (sent_time(timed.0), timed.1.time_approximate);

    let deleted_at = all
        .iter()
        .filter(|(piece, _)| piece.kind == Kind::MessageDeleted)
        .map(|(piece, _)| piece.time)
        .min();
    let content = if erased { Content::default() } else { content(&all, &originals) };
    let edit = latest_edit(&all);
    let inbound = direction == Direction::Inbound;
    let backfilled = shown_said.via == Via::Backfill && !originals.is_empty();
    let best_message = originals.iter().find_map(|(_, said)| message_of(&said.fact));
    let content_missing = deleted_at.is_none()
        && content.is_empty()
        && (erased
            || originals.is_empty()
            || best_message.is_some_and(|message| message.content_missing == Some(true)));
    let sender_resolution = match (originals.first(), unresolved) {
        (None, Some(_)) => Some("unresolved".to_owned()),
        (None, None) => None,
        (Some(_), _) => best_message
            .and_then(|message| message.sender_resolution.as_ref())
            .map(|found| found.method.clone()),
    };
    let receipt = |kind: Kind| {
        let times = all.iter().filter(|(piece, _)| piece.kind == kind).map(|(piece, _)| piece.time);
        if direction == Direction::Outbound { times.min() } else { None }
    };
    Some(MessageRow {
        id: id.to_owned(),
        channel: shown_said.channel,
        account_id: shown_said.account_id.clone(),
        contact_id,
        conversation_id,
        message_id: mid_of(shown, shown_said),
        direction,
        hidden,
        text: content.text,
        attachments: content.attachments,
        quick_reply: content.quick_reply,
        postback: content.postback,
        reply_to: reply_to(&originals, erased),
        reactions: reactions(&all),
        referral: originals.iter().find_map(|(_, said)| referral_of(&said.fact)),
        sent_at,
        time_approximate,
        edited_at: edit.map(|(piece, _)| piece.time),
        deleted_at,
        delivered_by_id: receipt(Kind::MessageDelivered),
        read_by_id: receipt(Kind::MessageRead),
        reply_id: originals
            .iter()
            .find_map(|(_, said)| reply_of(&said.fact))
            .map(|reply| reply.reply_id.to_string()),
        app_id: if direction == Direction::Outbound {
            originals.iter().find_map(|(_, said)| message_of(&said.fact)?.app_id.clone())
        } else {
            None
        },
        standby: shown_said.standby,
        is_self: shown_said.is_self,
        backfilled,
        unsupported: best_message.is_some_and(|message| message.unsupported == Some(true)),
        content_missing,
        sender_resolution,
        counts_unread: inbound && !hidden && deleted_at.is_none() && !backfilled,
        opens_window: inbound && !hidden && !shown_said.is_self,
        event_id: shown.event_id.clone(),
    })
}

/// What has to go from the stored pieces once a message was unsent: the same piece without content, for each that still has some.
pub fn scrubbed(pieces: &[Piece]) -> Vec<Piece> {
    if !is_erased(pieces) {
        return Vec::new();
    }
    pieces.iter().filter_map(scrub).collect()
}

fn scrub(piece: &Piece) -> Option<Piece> {
    let mut said = piece.said.clone()?;
    match &mut said.fact {
        Fact::MessageReceived(message) | Fact::MessageSent(message) => {
            message.text = None;
            message.attachments = Vec::new();
            message.quick_reply = None;
            message.metadata = None;
            scrub_story(&mut message.reply_to);
        }
        Fact::ReplySent(reply) | Fact::ReplyFailed(reply) | Fact::ReplyUnknown(reply) => {
            reply.text = None;
            reply.attachments = Vec::new();
            scrub_story(&mut reply.reply_to);
            for part in &mut reply.parts {
                part.text = None;
            }
        }
        Fact::PostbackReceived(postback) => {
            postback.title = String::new();
            postback.payload = None;
        }
        Fact::MessageEdited(edit) => edit.text = None,
        _ => return None,
    }
    (piece.said.as_ref() != Some(&said)).then(|| Piece { said: Some(said), ..piece.clone() })
}

/// The picture of a story is content; which story it was is not.
fn scrub_story(reply_to: &mut Option<ReplyTo>) {
    if let Some(story) = reply_to.as_mut().and_then(|quoted| quoted.story.as_mut()) {
        story.url = None;
    }
}

fn holding(pieces: &[Piece]) -> impl Iterator<Item = (&Piece, &Said)> {
    pieces.iter().filter_map(|piece| piece.said.as_ref().map(|said| (piece, said)))
}

const fn is_original(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::MessageReceived
            | Kind::MessageSent
            | Kind::PostbackReceived
            | Kind::ReplySent
            | Kind::ReplyFailed
            | Kind::ReplyUnknown
    )
}

const fn direction_of(kind: Kind) -> Direction {
    match kind {
        Kind::MessageReceived | Kind::PostbackReceived => Direction::Inbound,
        _ => Direction::Outbound,
    }
}

/// When a message was sent: for a part of a reply when Meta took that part, else when the event happened.
fn sent_time(piece: &Piece) -> Timestamp {
    let part = piece
        .said
        .as_ref()
        .and_then(|said| reply_of(&said.fact))
        .and_then(|reply| reply.parts.first());
    part.and_then(|part| part.sent_at).unwrap_or(piece.time)
}

const fn message_of(fact: &Fact) -> Option<&Message> {
    match fact {
        Fact::MessageReceived(message) | Fact::MessageSent(message) => Some(message),
        _ => None,
    }
}

const fn reply_of(fact: &Fact) -> Option<&Reply> {
    match fact {
        Fact::ReplySent(reply) | Fact::ReplyFailed(reply) | Fact::ReplyUnknown(reply) => {
            Some(reply)
        }
        _ => None,
    }
}

fn mid_of(piece: &Piece, said: &Said) -> String {
    let mid = match &said.fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => Some(&body.message_id),
        Fact::MessageEdited(body) => Some(&body.message_id),
        Fact::MessageDeleted(body) => Some(&body.message_id),
        Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => Some(&body.message_id),
        Fact::SenderUnresolved(body) => Some(&body.message_id),
        Fact::MessageDelivered(body) | Fact::MessageRead(body) => body.message_id.as_ref(),
        Fact::PostbackReceived(body) => body.message_id.as_ref(),
        Fact::ReplySent(body) | Fact::ReplyFailed(body) | Fact::ReplyUnknown(body) => {
            body.parts.first().and_then(|part| part.message_id.as_ref())
        }
        _ => None,
    };
    mid.map_or_else(|| piece.event_id.to_string(), ToString::to_string)
}

fn referral_of(fact: &Fact) -> Option<Value> {
    let referral = match fact {
        Fact::PostbackReceived(postback) => postback.referral.as_ref(),
        _ => message_of(fact)?.referral.as_ref(),
    };
    referral.and_then(|referral| serde_json::to_value(referral).ok())
}

#[derive(Default)]
struct Content {
    text: Option<String>,
    attachments: Vec<Attachment>,
    quick_reply: Option<Value>,
    postback: Option<Value>,
}

impl Content {
    const fn is_empty(&self) -> bool {
        self.text.is_none() && self.attachments.is_empty()
    }
}

/// Of several edits the one with the highest number; those without a number come after number 1, in the order of time.
fn latest_edit<'a>(all: &[(&'a Piece, &'a Said)]) -> Option<(&'a Piece, &'a Said)> {
    let order = |piece: &'a Piece, said: &'a Said| match &said.fact {
        Fact::MessageEdited(edit) => Some(match edit.edit_number {
            Some(number) => (number, None, piece.precedence()),
            None => (1, Some(piece.time), piece.precedence()),
        }),
        _ => None,
    };
    all.iter()
        .copied()
        .filter(|(piece, _)| piece.kind == Kind::MessageEdited)
        .max_by_key(|(piece, said)| order(piece, said))
}

/// The text of the latest edit that tells one; else, like everything else, of the best original that has it.
fn content(all: &[(&Piece, &Said)], originals: &[(&Piece, &Said)]) -> Content {
    let with_text: Vec<_> = all
        .iter()
        .copied()
        .filter(|(_, said)| matches!(&said.fact, Fact::MessageEdited(edit) if edit.text.is_some()))
        .collect();
    let edited = latest_edit(&with_text).and_then(|(_, said)| match &said.fact {
        Fact::MessageEdited(edit) => edit.text.clone(),
        _ => None,
    });
    let original = |said: &&Said| match &said.fact {
        Fact::PostbackReceived(postback) => Some(postback.title.clone()),
        fact => message_of(fact).map_or_else(
            || reply_of(fact).and_then(|reply| reply.text.clone()),
            |message| message.text.clone(),
        ),
    };
    let attachments = |said: &&Said| {
        let list = match &said.fact {
            fact if message_of(fact).is_some() => {
                message_of(fact).map(|message| &message.attachments)
            }
            fact => reply_of(fact).map(|reply| &reply.attachments),
        };
        list.filter(|list| !list.is_empty()).cloned()
    };
    Content {
        text: edited.or_else(|| originals.iter().find_map(|(_, said)| original(said))),
        attachments: originals.iter().find_map(|(_, said)| attachments(said)).unwrap_or_default(),
        quick_reply: originals.iter().find_map(|(_, said)| {
            let tapped = message_of(&said.fact)?.quick_reply.as_ref()?;
            Some(json!({"payload": tapped.payload}))
        }),
        postback: originals.iter().find_map(|(_, said)| match &said.fact {
            Fact::PostbackReceived(postback) => {
                Some(json!({"title": postback.title, "payload": postback.payload}))
            }
            _ => None,
        }),
    }
}

fn reply_to(originals: &[(&Piece, &Said)], erased: bool) -> Option<Value> {
    originals.iter().find_map(|(_, said)| {
        let mut quoted = message_of(&said.fact).map_or_else(
            || reply_of(&said.fact).and_then(|reply| reply.reply_to.clone()),
            |message| message.reply_to.clone(),
        );
        if erased {
            scrub_story(&mut quoted);
        }
        quoted.and_then(|quoted| serde_json::to_value(quoted).ok())
    })
}

/// Of each side the latest by (time, id); taking a reaction back removes it.
fn reactions(all: &[(&Piece, &Said)]) -> Vec<ReactionNow> {
    [By::Contact, By::Account]
        .into_iter()
        .filter_map(|by| {
            let (piece, said) = all
                .iter()
                .filter(|(_, said)| {
                    matches!(&said.fact, Fact::MessageReacted(body) | Fact::MessageUnreacted(body) if body.by == by)
                })
                .max_by_key(|(piece, _)| piece.moment())?;
            match &said.fact {
                Fact::MessageReacted(body) => Some(ReactionNow {
                    by,
                    reaction: body.reaction.clone(),
                    emoji: body.emoji.clone(),
                    at: piece.time,
                }),
                _ => None,
            }
        })
        .collect()
}
