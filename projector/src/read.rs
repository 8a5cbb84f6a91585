//! ◆ Pure: from the bytes of a message of INBOX_EVENTS to an event, split. What cannot be read is set aside and stops nothing.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use percent_encoding::percent_decode_str;
use runtime::follow::Received;
use schemas::{Channel, Event, Kind, Timestamp};
use serde_json::Value;

use crate::fold::{Arrival, split};

/// One message of INBOX_EVENTS.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its position.
    pub(crate) seq: u64,
    /// The channel its subject names.
    pub(crate) channel: Option<Channel>,
    /// The account its subject names; empty where it names none.
    pub(crate) account_id: String,
    /// The split event, or why it is set aside.
    pub(crate) outcome: Result<(Arrival, Kind), Parked>,
}

/// An event that is set aside: ids and the cause, never content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its position in INBOX_EVENTS.
    pub(crate) seq: u64,
    /// Its id, where it has one.
    pub(crate) event_id: Option<String>,
    /// Its kind, where this version knows it.
    pub(crate) kind: Option<String>,
    /// Its channel, where it has one.
    pub(crate) channel: Option<Channel>,
    /// Its account; empty where it has none.
    pub(crate) account_id: String,
    /// A stable word: `not_an_event`, `split_failed`, `not_storable`, `fold_failed`; after a redrive also `event_gone`.
    pub(crate) cause: &'static str,
    /// For people who operate.
    pub(crate) detail: String,
}

impl Incoming {
    /// A message as the stream has it.
    pub(crate) fn of(message: impl Borrow<Received>) -> Self {
        let message = message.borrow();
        read(message.sequence, &message.subject, &message.payload).stored_at(message.stored_at)
    }

    /// The same, of a message that the broker stored at `at`: no act of a person on our side is later.
    #[must_use]
    pub(crate) fn stored_at(mut self, at: Timestamp) -> Self {
        if let Ok((Arrival::Fact { facts, .. }, _)) = &mut self.outcome {
            facts.iter_mut().for_each(|fact| fact.bound(at));
        }
        self
    }
}

/// Reads one message.
pub fn read(seq: u64, subject: &str, payload: &[u8]) -> Incoming {
    let (channel, account_id) = origin(subject);
    let aside = |event_id, kind, cause, detail| {
        let account_id = account_id.clone();
        Parked { seq, event_id, kind, channel, account_id, cause, detail }
    };
    let outcome = match parse(payload) {
        Ok(event) => {
            let (id, kind) = (event.id.to_string(), event.kind());
            match catch_unwind(AssertUnwindSafe(|| split(event))) {
                Ok(arrival) => Ok((arrival, kind)),
                Err(_) => {
                    let detail = "this version of the projector fails on the event; see its log";
                    let kind = Some(kind.to_string());
                    Err(aside(Some(id), kind, "split_failed", detail.to_owned()))
                }
            }
        }
        Err(error) => {
            let id = loose(payload, "id");
            // It stands in log lines.
            let id = id.filter(|id| id.len() <= 64 && !id.contains(char::is_control));
            let kind = loose(payload, "type").and_then(|name| kind_of(&name));
            let kind = kind.map(|kind| kind.to_string());
            Err(aside(id, kind, "not_an_event", without_content(&error)))
        }
    };
    Incoming { seq, channel, account_id, outcome }
}

/// The kind that a CloudEvents type such as `hookline.message.received.v1` names.
fn kind_of(name: &str) -> Option<Kind> {
    name.strip_prefix("hookline.")?.strip_suffix(".v1")?.parse().ok()
}

/// Channel and account of `inbox.v1.event.<partition>.<channel>.<account>.<kind>`: known also where the body cannot be read.
fn origin(subject: &str) -> (Option<Channel>, String) {
    let mut tokens = subject
        .split('.')
        .skip(4)
        .map(|token| percent_decode_str(token).decode_utf8_lossy().replace('\0', "\u{fffd}"));
    let channel = tokens.next().and_then(|channel| channel.parse().ok());
    (channel, tokens.next().filter(|account| account != "_").unwrap_or_default())
}

/// Postgres keeps no U+0000, and people may send it: it becomes U+FFFD.
fn parse(payload: &[u8]) -> Result<Event, serde_json::Error> {
    if !payload.windows(6).any(|window| window == b"\\u0000") {
        return serde_json::from_slice(payload);
    }
    let mut value: Value = serde_json::from_slice(payload)?;
    without_nul(&mut value);
    serde_json::from_value(value)
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{fffd}");
            }
        }
        Value::Array(list) => list.iter_mut().for_each(without_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, value)| (name.replace('\0', "\u{fffd}"), value))
                    .collect();
            }
            fields.values_mut().for_each(without_nul);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text field of something that is JSON, whatever else is wrong with it.
fn loose(payload: &[u8], field: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    Some(value.get(field)?.as_str()?.replace('\0', "\u{fffd}"))
}

/// The error of serde without the values it quotes.
fn without_content(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let safe = ["missing field", "`type` is not", "`specversion`", "EOF while", "expected "];
    if safe.iter().any(|start| text.starts_with(start)) {
        return text.chars().take(200).collect();
    }
    match text.split_once("expected ") {
        Some((_, expected)) => format!(
            "wrong type or value, expected {}",
            expected.chars().take(120).collect::<String>()
        ),
        None => format!("not an event of this version ({:?} error)", error.classify()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SUBJECT: &str = "inbox.v1.event.07.instagram.1.message-received";

    fn wire() -> Value {
        json!({
            "specversion": "1.0", "id": "evt_1", "type": "hookline.message.received.v1", "source": "/instagram/1",
            "time": "2026-11-21T10:00:00.000Z",
            "data": {
                "channel": "instagram", "account_id": "1", "contact_id": "5200000000000011",
                "origin": {"via": "webhook", "revision": 0}, "message_id": "m1", "text": "a\u{0}b",
            }
        })
    }

    #[test]
    fn nul_characters_do_not_reach_postgres() {
        let read = read(7, SUBJECT, wire().to_string().as_bytes());
        let (Arrival::Fact { facts, .. }, kind) = read.outcome.unwrap() else { panic!("a fact") };
        assert_eq!(kind, Kind::MessageReceived);
        let body = facts[0].statement.as_ref().unwrap().to_body().unwrap();
        assert_eq!(body["fact"]["text"], "a\u{fffd}b");
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_without_its_content() {
        let parked = |payload: &[u8]| read(7, SUBJECT, payload).outcome.unwrap_err();
        assert_eq!(parked(b"not json").cause, "not_an_event");
        let mut event = wire();
        event["data"]["message_id"] = json!({"secret": "words"});
        event["data"]["text"] = json!("secret");
        let found = parked(event.to_string().as_bytes());
        assert_eq!(
            (found.seq, found.event_id.as_deref(), found.kind.as_deref()),
            (7, Some("evt_1"), Some("message.received"))
        );
        assert!(!found.detail.contains("secret"), "{}", found.detail);
        let mut event = wire();
        event["data"]["standby"] = json!("secret");
        let found = parked(event.to_string().as_bytes());
        assert!(
            found.detail.contains("boolean") && !found.detail.contains("secret"),
            "{}",
            found.detail
        );
        let mut event = wire();
        event["type"] = json!("hookline.message.sung.v1");
        assert_eq!(parked(event.to_string().as_bytes()).kind, None);
    }

    #[test]
    fn whose_an_event_is_stands_in_its_subject() {
        let of = |subject: &str| origin(subject);
        assert_eq!(of(SUBJECT), (Some(Channel::Instagram), "1".to_owned()));
        let odd = of("inbox.v1.event.07.messenger.a%2Eb%00.message-received");
        assert_eq!(odd, (Some(Channel::Messenger), "a.b\u{fffd}".to_owned()));
        assert_eq!(of("inbox.v1.event.07.telegram._.x"), (None, String::new()));
        assert_eq!(of("inbox.v1.event"), (None, String::new()));
    }
}
