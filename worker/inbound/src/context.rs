//! ◆ Pure: what the items of a body share: whose they are, when they came, and how events are built from them.

use schemas::event::Origin;
use schemas::facts::WebhookShape;
use schemas::meta::json::cut;
use schemas::meta::{Item, Node, Object, Place};
use schemas::raw::RawMeta;
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Timestamp, Via, ids};

use super::output::Output;
use facts::Draft;
use facts::accounts::directory::Account;

/// Names of keys that are reported of an unknown item.
const KEYS_MAX: usize = 32;

/// A raw webhook as a whole.
pub(super) struct Webhook<'a> {
    pub(super) meta: &'a RawMeta,
    /// Hex of the sha256 of the body; made when first needed.
    pub(super) sha: std::cell::OnceCell<String>,
    pub(super) body: &'a [u8],
}

impl<'a> Webhook<'a> {
    pub(super) const fn new(body: &'a [u8], meta: &'a RawMeta) -> Self {
        Self { meta, sha: std::cell::OnceCell::new(), body }
    }

    fn sha(&self) -> &str {
        let of_body = || ids::sha256_hex(self.body);
        self.sha.get_or_init(|| self.meta.redacted.clone().unwrap_or_else(of_body))
    }

    pub(super) const fn origin(&self, index: u32) -> Origin {
        Origin {
            via: Via::Webhook,
            raw_stream_sequence: Some(self.meta.stream_sequence),
            source_era: None,
            index: Some(index),
            revision: 0,
        }
    }

    /// The channel of a body that does not say: that of the path it came in on.
    fn channel_of_path(&self) -> Channel {
        match self.meta.path.as_deref() {
            Some(path) if path.contains("facebook") => Channel::Messenger,
            _ => Channel::Instagram,
        }
    }

    /// `webhook.unrecognized` or `webhook.test`: shape facts, never content.
    pub(super) fn shape(
        &self,
        item: Option<&Item<'_>>,
        reason: &str,
        field: Option<&str>,
        test: bool,
    ) -> Output {
        let index = item.map_or(0, |item| item.index);
        let object = item.map(|item| &item.object);
        let entry_id = item.and_then(|item| item.entry_id.clone());
        let channel = object.and_then(Object::channel).unwrap_or_else(|| self.channel_of_path());
        // `_` is what a subject says for an unknown account.
        let account = AccountId::new(entry_id.clone().unwrap_or_else(|| "_".to_owned()));
        let node = item.and_then(|item| item.node.as_ref());
        let shape = WebhookShape {
            reason: reason.to_owned(),
            object: object.and_then(Object::name).map(str::to_owned),
            entry_id,
            field: field.filter(|field| !field.is_empty()).map(cut),
            keys: node
                .map(|node| node.keys().take(KEYS_MAX).map(cut).collect())
                .unwrap_or_default(),
            shape: node.map(Node::shape),
            bytes: u64::try_from(self.body.len()).ok(),
            item_id: node.and_then(item_id).map(|id| cut(&id)),
        };
        let fact = if test { Fact::WebhookTest(shape) } else { Fact::WebhookUnrecognized(shape) };
        let id = EventId::derive(channel, &account, "webhook", &[self.sha(), &index.to_string()]);
        let time = item.and_then(|item| item.entry_time).unwrap_or(self.meta.received_at);
        let mut event = Event::new(id, time, channel, account, None, self.origin(index), fact);
        event.data.time_approximate = true;
        event.traceparent = self.meta.traceparent.clone();
        Output::Fact(Draft::of(event))
    }
}

/// The comment or message id of an item, for whoever looks it up.
fn item_id(node: &Node<'_>) -> Option<String> {
    let inside = ["message", "message_edit", "reaction", "postback", "read"];
    inside
        .iter()
        .find_map(|key| node.node(key).and_then(|payload| payload.id("mid")))
        .or_else(|| node.id("comment_id"))
        .or_else(|| node.id("mid"))
        .or_else(|| node.id("id"))
}

/// One item of a known account.
pub(super) struct Context<'a> {
    pub(super) webhook: &'a Webhook<'a>,
    pub(super) item: &'a Item<'a>,
    pub(super) account: &'a Account,
}

/// A time as part of a natural key; empty where there is none.
pub(super) fn stamp(time: Option<Timestamp>) -> String {
    time.map(|time| time.as_millis().to_string()).unwrap_or_default()
}

/// When something happened.
#[derive(Clone, Copy)]
pub(super) struct When {
    pub(super) time: Timestamp,
    pub(super) approximate: bool,
}

impl Context<'_> {
    pub(super) const fn channel(&self) -> Channel {
        self.account.channel
    }

    pub(super) fn id(&self, word: &str, key: &[&str]) -> EventId {
        EventId::derive(self.account.channel, &self.account.id, word, key)
    }

    /// Meta's time, or that of the delivery.
    pub(super) fn when(&self, stated: Option<Timestamp>) -> When {
        match stated {
            Some(time) => When { time, approximate: false },
            None => {
                let time = self.item.entry_time.unwrap_or(self.webhook.meta.received_at);
                When { time, approximate: true }
            }
        }
    }

    /// The time of the delivery, as part of the id of acts that may come again and have no time of their own (docs/contract.md 5). Empty
    /// where the entry has none: the time of the reception would make a redelivery another fact.
    pub(super) fn delivery_stamp(&self) -> String {
        stamp(self.item.entry_time)
    }

    pub(super) fn standby(&self) -> bool {
        self.item.place == Place::Standby || self.item.place == Place::Change("standby".to_owned())
    }

    /// A person, unless the id is the account's own or one that cannot be a person's.
    pub(super) fn contact(&self, id: Option<&str>) -> Option<ContactId> {
        id.and_then(|id| self.account.contact(id))
    }

    pub(super) fn draft(
        &self,
        id: EventId,
        when: When,
        contact: Option<ContactId>,
        fact: Fact,
    ) -> Draft {
        let origin = self.webhook.origin(self.item.index);
        let account = self.account.id.clone();
        let mut event = Event::new(id, when.time, self.channel(), account, contact, origin, fact);
        event.data.time_approximate = when.approximate;
        event.data.standby = self.standby();
        event.traceparent = self.webhook.meta.traceparent.clone();
        Draft::of(event)
    }

    pub(super) fn fact(
        &self,
        id: EventId,
        when: When,
        contact: Option<ContactId>,
        fact: Fact,
    ) -> Vec<Output> {
        vec![Output::Fact(self.draft(id, when, contact, fact))]
    }

    pub(super) fn unrecognized(&self, reason: &str, field: &str) -> Vec<Output> {
        vec![self.webhook.shape(Some(self.item), reason, Some(field), false)]
    }
}
