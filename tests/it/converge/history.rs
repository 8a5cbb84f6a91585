//! Histories on a seed: everything that may happen to the messages, the person, the comments of one conversation, with as many ties and
//! contradictions as the contract allows.

mod around;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Kind, Origin, Timestamp, Via};
use serde_json::{Value, json};

const BEGIN: i64 = 1_795_000_000_000;

/// Everything that happened, in no order that matters.
pub(crate) fn generate(seed: u64, conversations: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for n in 0..conversations {
        let mut teller = Teller::new(seed.wrapping_mul(1_000_003).wrapping_add(n as u64), n);
        teller.generate_all();
        events.append(&mut teller.events);
    }
    events
}

/// Puts events in another order.
pub(crate) fn shuffled(events: &[Event], seed: u64) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut events = events.to_vec();
    for last in (1..events.len()).rev() {
        events.swap(last, random.random_range(0..=last));
    }
    events
}

/// A long conversation: `kind` of message number `n` of one person.
pub(crate) fn long(who: usize, kind: Kind, n: usize, revision: u32) -> Event {
    let mut teller = Teller::new(0, who);
    let mid = format!("long.{who}.{n}");
    let time = Timestamp::from_millis(BEGIN + i64::try_from(n).unwrap() * 1000);
    let fields = match kind {
        Kind::MessageDelivered | Kind::MessageRead => json!({"watermark": time}),
        Kind::ConversationRead => json!({}),
        Kind::MessageDeleted => json!({"message_id": mid}),
        _ => json!({"message_id": mid, "text": "hello"}),
    };
    let mut event = teller.event(kind, &mid, Via::Webhook, &fields);
    event.time = time.plus(std::time::Duration::from_millis(u64::from(revision)));
    event.data.origin.revision = revision;
    event
}

struct Teller {
    random: StdRng,
    channel: Channel,
    account: AccountId,
    contact: ContactId,
    n: usize,
    events: Vec<Event>,
}

impl Teller {
    fn new(seed: u64, n: usize) -> Self {
        let (channel, account) = match n % 3 {
            0 => (Channel::Instagram, "17841400000000101"),
            1 => (Channel::Messenger, "103000000000301"),
            _ => (Channel::Messenger, "103000000000302"),
        };
        Self {
            random: StdRng::seed_from_u64(seed),
            channel,
            account: account.into(),
            contact: format!("5200000000{n:06}").into(),
            n,
            events: Vec::new(),
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.random_range(0..n)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Few different times, so that they are often equal.
    fn moment(&mut self) -> Timestamp {
        Timestamp::from_millis(BEGIN + self.random.random_range(0..12_i64) * 1000)
    }

    fn word(&mut self) -> String {
        let words = [
            "hello",
            "",
            "Grüße 😊",
            "a \u{0} b",
            "line\nline",
            "'; drop table \"x\"; --",
            "\\u0000",
        ];
        format!("{} {}", self.one_of(&words), self.below(5))
    }

    fn event(&mut self, kind: Kind, key: &str, via: Via, fields: &Value) -> Event {
        let fields = fields.as_object().expect("fields").clone();
        let fact = Fact::from_fields(kind, fields).expect("a fact");
        let key = [format!("{}/{key}", self.n)];
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        Event::new(
            EventId::derive(self.channel, &self.account, kind.as_str(), &key),
            self.moment(),
            self.channel,
            self.account.clone(),
            Some(self.contact.clone()),
            Origin::of(via),
            fact,
        )
    }

    /// Adds an event, perhaps read anew, perhaps twice, perhaps withdrawn.
    fn push(&mut self, event: Event) {
        // What the rows of others hang on is published anew more often.
        let (anew, gone) = match event.kind() {
            Kind::MessageDelivered | Kind::MessageRead => (30, 15),
            Kind::MessageReceived | Kind::MessageSent => (20, 5),
            _ => (8, 5),
        };
        if self.chance(anew) {
            let mut again = event.clone();
            again.data.origin.revision = u32::try_from(1 + self.below(2)).unwrap();
            again.time = self.moment();
            if let Fact::MessageReceived(message) | Fact::MessageSent(message) =
                &mut again.data.fact
            {
                message.text = Some(self.word());
            }
            if self.chance(30) {
                // It was somebody else after all.
                let other = ContactId::from(format!("5200000000{:06}", self.n + 1));
                again = Event::new(
                    again.id,
                    again.time,
                    again.data.channel,
                    again.data.account_id,
                    Some(other),
                    again.data.origin,
                    again.data.fact,
                );
            }
            self.events.push(again);
        }
        if self.chance(4) {
            // The same revision by a lower source: one of two readers that did not know of each other.
            let mut again = event.clone();
            again.data.origin.via = self.one_of(&[Via::Reply, Via::Backfill, Via::Reconcile]);
            again.time = self.moment();
            self.events.push(again);
        }
        if self.chance(gone) {
            let withdrawn = self.withdrawal(&event);
            self.events.push(withdrawn);
        }
        self.events.push(event);
    }

    fn withdrawal(&mut self, event: &Event) -> Event {
        let reason = self.one_of(&["superseded", "vanished", "erased"]);
        let fields = json!({"event_id": event.id.as_str(), "reason": reason});
        self.event(Kind::FactWithdrawn, event.id.as_str(), Via::Webhook, &fields)
    }

    fn generate_all(&mut self) {
        if self.n.is_multiple_of(5) {
            return self.passing();
        }
        for n in 0..1 + self.below(6) {
            self.message(&format!("mid.{}.{n}", self.n));
        }
        self.watermarks();
        self.acts();
        self.person();
        self.comments();
        self.posts();
    }

    /// Somebody of whom one message is known for a while, and then perhaps nothing.
    fn passing(&mut self) {
        let mid = format!("mid.{}.only", self.n);
        let event =
            self.event(Kind::MessageReceived, &mid, Via::Webhook, &json!({"message_id": mid}));
        if self.chance(70) {
            let withdrawn = self.withdrawal(&event);
            self.push(withdrawn);
        }
        if self.chance(30) {
            let read = self.event(Kind::ConversationRead, "read", Via::Api, &json!({}));
            self.push(read);
        }
        self.push(event);
    }

    fn message(&mut self, mid: &str) {
        match self.below(10) {
            0..=3 => self.received(mid),
            4..=5 => self.sent(mid),
            6 => {
                self.sent(mid);
                self.replied(mid);
            }
            7 => self.replied(mid),
            8 => self.postback(mid),
            // Nothing shows what it was.
            _ => {}
        }
        if self.chance(15) {
            self.unresolved(mid);
        }
        for n in 0..self.below(3) {
            let number = self.one_of(&[None, Some(1), Some(2), Some(2)]);
            let text = self.word();
            let fields = json!({"message_id": mid, "text": text, "edit_number": number});
            let edited = self.event(
                Kind::MessageEdited,
                &format!("{mid}/{n}/{number:?}"),
                Via::Webhook,
                &fields,
            );
            self.push(edited);
        }
        if self.chance(15) {
            let deleted =
                self.event(Kind::MessageDeleted, mid, Via::Webhook, &json!({"message_id": mid}));
            self.push(deleted);
        }
        for n in 0..self.below(3) {
            let by = self.one_of(&["contact", "account"]);
            let kind =
                self.one_of(&[Kind::MessageReacted, Kind::MessageReacted, Kind::MessageUnreacted]);
            let emoji = self.one_of(&["❤", "👍", "😮"]);
            let fields = json!({"message_id": mid, "by": by, "emoji": emoji});
            let reacted = self.event(kind, &format!("{mid}/{n}"), Via::Webhook, &fields);
            self.push(reacted);
        }
        for kind in [Kind::MessageDelivered, Kind::MessageRead] {
            for n in 0..self.below(2) {
                let receipt = self.event(
                    kind,
                    &format!("{mid}/{n}"),
                    Via::Webhook,
                    &json!({"message_id": mid}),
                );
                self.push(receipt);
            }
        }
    }

    fn content(&mut self, mid: &str) -> Value {
        let mut fields = json!({"message_id": mid, "text": self.word()});
        if self.chance(20) {
            fields["attachments"] = json!([{"type": "image", "url": "https://cdn.example/1", "payload": {"b": 1, "a": self.below(3)}}]);
        }
        if self.chance(20) {
            fields["reply_to"] = json!({"message_id": "mid.elsewhere"});
        }
        if self.chance(10) {
            fields["referral"] = json!({"source": "ADS", "ad_id": self.below(3).to_string()});
        }
        if self.chance(10) {
            fields["text"] = Value::Null;
            fields["content_missing"] = json!(true);
        }
        fields
    }

    fn received(&mut self, mid: &str) {
        let fields = self.content(mid);
        let via = if self.chance(20) { Via::Backfill } else { Via::Webhook };
        let mut event = self.event(Kind::MessageReceived, mid, via, &fields);
        event.data.time_approximate = self.chance(10);
        self.push(event);
    }

    fn sent(&mut self, mid: &str) {
        let mut fields = self.content(mid);
        if self.chance(50) {
            fields["app_id"] = json!(self.one_of(&["111", "222"]));
        }
        let echo = self.event(Kind::MessageSent, mid, Via::Webhook, &fields);
        self.push(echo);
    }

    /// Two parts where the second has a mid of its own.
    fn replied(&mut self, mid: &str) {
        let kind = [Kind::ReplySent, Kind::ReplySent, Kind::ReplyFailed, Kind::ReplyUnknown]
            [self.below(4)];
        let state =
            if kind == Kind::ReplySent { "sent" } else { self.one_of(&["failed", "unknown"]) };
        let fields = json!({
            "reply_id": format!("rpl_{mid}"), "text": "one two", "attempts": 1,
            "parts": [
                {"n": 0, "message_id": mid, "state": "sent", "text": self.word()},
                {"n": 1, "message_id": format!("{mid}.second"), "state": state, "text": self.word()},
            ],
        });
        let reply = self.event(kind, mid, Via::Reply, &fields);
        self.push(reply);
    }

    fn postback(&mut self, mid: &str) {
        let with_mid = self.chance(70);
        let fields = json!({
            "message_id": with_mid.then_some(mid), "title": self.word(), "payload": "START",
        });
        let postback = self.event(Kind::PostbackReceived, mid, Via::Webhook, &fields);
        self.push(postback);
    }

    fn unresolved(&mut self, mid: &str) {
        let fields =
            json!({"message_id": mid, "tried": [{"method": "twin", "outcome": "nothing"}]});
        let mut event = self.event(Kind::SenderUnresolved, mid, Via::Webhook, &fields);
        if self.chance(50) {
            event.data.contact_id = None;
            event.data.conversation_id = None;
        }
        if self.chance(60) {
            let withdrawn = self.withdrawal(&event);
            self.push(withdrawn);
        }
        self.push(event);
    }
}
