//! What happens in an inbox: events of many conversations, the same ones in every run.

use std::collections::HashMap;
use std::time::Duration;

use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Kind, Origin, Timestamp, Via};
use serde_json::{Value, json};

const BEGIN: i64 = 1_795_000_000_000;
const ACCOUNT: &str = "17841400000000101";

/// Events one after the other, over so many conversations.
pub(crate) struct History {
    conversations: u64,
    n: u64,
    /// How many messages each conversation has.
    messages: HashMap<u64, u32>,
}

impl History {
    /// Nothing has happened yet.
    pub(crate) fn new(conversations: u64) -> Self {
        Self { conversations: conversations.max(1), n: 0, messages: HashMap::new() }
    }

    /// A first message in each conversation.
    pub(crate) fn openings(&mut self) -> Vec<Event> {
        (0..self.conversations).map(|who| self.event(who, Kind::MessageReceived)).collect()
    }

    /// What happens next: of 20 events 11 messages of people, 3 answers, 3 receipts, an edit, a reaction, and a mark of reading or a
    /// profile.
    pub(crate) fn next(&mut self, count: u64) -> Vec<Event> {
        (0..count)
            .map(|_| {
                // Multiplied by a large odd number and folded, neighbours in time are no neighbours in the tables.
                let mixed = (self.n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let who = (mixed >> 32) % self.conversations;
                let kind = match self.n % 20 {
                    0..=10 => Kind::MessageReceived,
                    11..=13 => Kind::MessageSent,
                    14 | 15 => Kind::MessageDelivered,
                    16 => Kind::MessageRead,
                    17 => Kind::MessageEdited,
                    18 => Kind::MessageReacted,
                    _ if self.n % 40 == 19 => Kind::ConversationRead,
                    _ => Kind::ContactEnriched,
                };
                self.event(who, kind)
            })
            .collect()
    }

    fn event(&mut self, who: u64, kind: Kind) -> Event {
        let begin = Timestamp::from_millis(BEGIN);
        let time = begin.plus(Duration::from_millis(self.n));
        let (mid, fields) = self.said(who, kind, time);
        let fact =
            Fact::from_fields(kind, fields.as_object().expect("fields").clone()).expect("a fact");
        let (channel, account) = (Channel::Instagram, AccountId::from(ACCOUNT));
        let contact = ContactId::from(format!("52{who:014}"));
        let id = EventId::derive(channel, &account, kind.as_str(), &[&format!("{mid}/{}", self.n)]);
        self.n += 1;
        Event::new(id, time, channel, account, Some(contact), Origin::of(Via::Webhook), fact)
    }

    /// The message that an event is about, and what it says.
    fn said(&mut self, who: u64, kind: Kind, time: Timestamp) -> (String, Value) {
        let messages = self.messages.entry(who).or_insert(0);
        if matches!(kind, Kind::MessageReceived | Kind::MessageSent) {
            *messages += 1;
        }
        let mid = format!("aWdfZAG1faXRlbToxOklHTWVzc2FnZA.{who}.{messages}");
        let text =
            "Do you still have the blue one in size 38, and could you send it before Friday?";
        let fields = match kind {
            Kind::MessageReceived => json!({"message_id": mid, "text": text}),
            Kind::MessageSent => {
                json!({"message_id": mid, "text": "Yes, three left.", "app_id": "1234567890"})
            }
            Kind::MessageDelivered | Kind::MessageRead => json!({"watermark": time}),
            Kind::MessageEdited => json!({"message_id": mid, "text": text, "edit_number": 1}),
            Kind::MessageReacted => json!({"message_id": mid, "by": "contact", "emoji": "❤"}),
            Kind::ContactEnriched => {
                json!({"name": format!("Ann {who}"), "username": format!("ann_{who}")})
            }
            _ => json!({}),
        };
        (mid, fields)
    }
}
