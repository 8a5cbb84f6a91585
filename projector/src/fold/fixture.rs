//! Events for tests, short to write.

use schemas::facts::{
    By, Message, MessageDeleted, MessageEdited, PartState, Postback, Reaction, Receipt, Reply,
    ReplyPart,
};
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Origin, Timestamp, Via};

pub(crate) const ACCOUNT: &str = "17841400000000101";
pub(crate) const ANN: &str = "5200000000000011";

/// So many seconds after some time.
pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
}

/// An event of Ann's conversation; its id follows from `key`.
pub(crate) fn event(key: &str, seconds: i64, via: Via, fact: Fact) -> Event {
    let account = AccountId::from(ACCOUNT);
    let id = EventId::derive(Channel::Instagram, &account, fact.kind().as_str(), &[key]);
    Event::new(
        id,
        at(seconds),
        Channel::Instagram,
        account,
        Some(ContactId::from(ANN)),
        Origin::of(via),
        fact,
    )
}

pub(crate) fn revised(mut event: Event, revision: u32) -> Event {
    event.data.origin.revision = revision;
    event
}

pub(crate) fn message(mid: &str, text: &str) -> Message {
    Message { message_id: mid.into(), text: Some(text.to_owned()), ..Message::default() }
}

pub(crate) fn received(mid: &str, text: &str, seconds: i64) -> Event {
    event(mid, seconds, Via::Webhook, Fact::MessageReceived(message(mid, text)))
}

pub(crate) fn echo(mid: &str, text: &str, seconds: i64) -> Event {
    event(mid, seconds, Via::Webhook, Fact::MessageSent(message(mid, text)))
}

pub(crate) fn edited(mid: &str, text: &str, number: Option<i64>, seconds: i64) -> Event {
    let fact = Fact::MessageEdited(MessageEdited {
        message_id: mid.into(),
        text: Some(text.to_owned()),
        edit_number: number,
        sender_resolution: None,
    });
    event(&format!("{mid}/{number:?}/{text}"), seconds, Via::Webhook, fact)
}

pub(crate) fn unsent(mid: &str, seconds: i64) -> Event {
    event(
        mid,
        seconds,
        Via::Webhook,
        Fact::MessageDeleted(MessageDeleted { message_id: mid.into() }),
    )
}

pub(crate) fn reacted(mid: &str, by: By, emoji: &str, seconds: i64) -> Event {
    let body =
        Reaction { message_id: mid.into(), reaction: None, emoji: Some(emoji.to_owned()), by };
    event(&format!("{mid}/{emoji}/{seconds}"), seconds, Via::Webhook, Fact::MessageReacted(body))
}

pub(crate) fn unreacted(mid: &str, by: By, seconds: i64) -> Event {
    let body = Reaction { message_id: mid.into(), reaction: None, emoji: None, by };
    event(&format!("{mid}/-/{seconds}"), seconds, Via::Webhook, Fact::MessageUnreacted(body))
}

pub(crate) fn seen(mid: &str, seconds: i64) -> Event {
    let body = Receipt { message_id: Some(mid.into()), watermark: None };
    event(&format!("{mid}/{seconds}"), seconds, Via::Webhook, Fact::MessageRead(body))
}

pub(crate) fn postback(mid: Option<&str>, title: &str, seconds: i64) -> Event {
    let body = Postback {
        message_id: mid.map(Into::into),
        title: title.to_owned(),
        ..Postback::default()
    };
    event(
        &format!("{mid:?}/{title}/{seconds}"),
        seconds,
        Via::Webhook,
        Fact::PostbackReceived(body),
    )
}

pub(crate) fn reply(reply_id: &str, parts: &[(&str, &str)], seconds: i64) -> Event {
    let parts = parts
        .iter()
        .zip(0..)
        .map(|((mid, text), n)| ReplyPart {
            n,
            message_id: Some((*mid).into()),
            state: PartState::Sent,
            text: Some((*text).to_owned()),
            sent_at: None,
        })
        .collect();
    let body = Reply {
        reply_id: reply_id.into(),
        text: None,
        attachments: Vec::new(),
        reply_to: None,
        parts,
        error: None,
        attempts: 1,
        rule: None,
        requested_by: None,
        caused_by: None,
    };
    event(reply_id, seconds, Via::Reply, Fact::ReplySent(body))
}

pub(crate) fn withdrawal(of: &Event) -> Event {
    let body = schemas::facts::FactWithdrawn {
        erased_until: None,
        event_id: of.id.clone(),
        reason: schemas::facts::WithdrawReason::Vanished,
        superseded_by: None,
        message_id: None,
    };
    event(of.id.as_str(), 0, Via::Webhook, Fact::FactWithdrawn(body))
}
