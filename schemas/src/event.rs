//! ◆ Pure: the envelope of an event: valid CloudEvents 1.0, structured JSON (docs/contract.md 5).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::subjects::{self, Route};
use crate::{AccountId, Channel, ContactId, ConversationId, EventId, Fact, Kind, Timestamp};

mod wire;

/// What is encoded in a part of a URI's path: all but what RFC 3986 calls unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The media type of a published event, in the header `Content-Type`: CloudEvents in structured mode.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// A normalised event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Derived from what Meta says: [`EventId::derive`].
    pub id: EventId,
    /// When it happened, by Meta's clock.
    pub time: Timestamp,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The fact and what is common to all.
    pub data: Data,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account_id: AccountId,
    /// The conversation; absent without a person.
    pub conversation_id: Option<ConversationId>,
    /// The person; absent without one.
    pub contact_id: Option<ContactId>,
    /// Meta named no time: `time` is that of the earliest delivery.
    pub time_approximate: bool,
    /// Another app owns the conversation.
    pub standby: bool,
    /// The account wrote to itself.
    pub is_self: bool,
    /// Where it came from.
    pub origin: Origin,
    /// The fact.
    pub fact: Fact,
}

/// How a fact reached hookline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Via {
    /// A raw webhook.
    Webhook,
    /// Import from Graph.
    Backfill,
    /// Reading back after an unknown outcome, or a look-up.
    Reconcile,
    /// The worker's own reply.
    Reply,
    /// The worker's own command.
    Command,
    /// A person through the api.
    Api,
}

crate::words! {
    Via, "source of an event":
    Webhook = "webhook", Backfill = "backfill", Reconcile = "reconcile", Reply = "reply", Command = "command", Api = "api"
}

impl Via {
    /// Sources rank webhook > reply > Graph: a lower rank never replaces a higher one.
    pub const fn rank(self) -> i16 {
        match self {
            Self::Webhook | Self::Api => 3,
            Self::Reply | Self::Command => 2,
            Self::Backfill | Self::Reconcile => 1,
        }
    }
}

/// Where an event came from.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// How it reached us.
    pub via: Via,
    /// Position of the raw webhook in META_RAW, or of the command in INBOX_COMMANDS.
    pub raw_stream_sequence: Option<u64>,
    /// Which item of the raw webhook, counted over the whole body from 0.
    pub index: Option<u32>,
    /// How often this fact was read anew; the highest wins.
    pub revision: u32,
    /// The number of the era of the stream that the position is of; `None`: the one that counts now. Stored beside the position, not
    /// published.
    #[serde(skip)]
    pub source_era: Option<i16>,
}

impl Origin {
    /// An origin without a raw webhook.
    pub const fn of(via: Via) -> Self {
        Self { via, raw_stream_sequence: None, index: None, revision: 0, source_era: None }
    }
}

impl Event {
    /// Builds an event; the conversation id follows from the contact.
    pub fn new(
        id: EventId,
        time: Timestamp,
        channel: Channel,
        account: AccountId,
        contact: Option<ContactId>,
        origin: Origin,
        fact: Fact,
    ) -> Self {
        let conversation_id =
            contact.as_ref().map(|contact| ConversationId::of(channel, &account, contact));
        Self {
            id,
            time,
            traceparent: None,
            data: Data {
                channel,
                account_id: account,
                conversation_id,
                contact_id: contact,
                time_approximate: false,
                standby: false,
                is_self: false,
                origin,
                fact,
            },
        }
    }

    /// The kind of its fact.
    pub const fn kind(&self) -> Kind {
        self.data.fact.kind()
    }

    /// Its revision.
    pub const fn revision(&self) -> u32 {
        self.data.origin.revision
    }

    /// The `type`: `hookline.<kind>.v1`.
    pub fn type_name(kind: Kind) -> String {
        format!("hookline.{kind}.v1")
    }

    /// The `dataschema`.
    pub fn data_schema(kind: Kind) -> String {
        format!("hookline:schemas/{kind}.v1.json")
    }

    /// The `source`: `/<channel>/<account>`, a URI reference whatever an unknown account is called.
    pub fn source(&self) -> String {
        let account = utf8_percent_encode(self.data.account_id.as_str(), SEGMENT);
        format!("/{}/{account}", self.data.channel)
    }

    /// What decides its partition: the contact, else the media or post, else the account.
    pub fn route(&self) -> Route<'_> {
        if let Some(contact) = &self.data.contact_id {
            return Route::Contact(contact.as_str());
        }
        let object = match &self.data.fact {
            Fact::CommentCreated(comment)
            | Fact::CommentEdited(comment)
            | Fact::CommentDeleted(comment)
            | Fact::CommentHidden(comment)
            | Fact::CommentUnhidden(comment) => {
                comment.media_id.as_deref().or(comment.post_id.as_deref())
            }
            Fact::CommentReacted(comment) | Fact::CommentUnreacted(comment) => {
                comment.media_id.as_deref().or(comment.post_id.as_deref())
            }
            Fact::PostChanged(post) => post.post_id.as_deref(),
            Fact::PostReacted(post) => Some(post.post_id.as_str()),
            Fact::MentionCreated(mention) => {
                mention.media_id.as_deref().or(mention.post_id.as_deref())
            }
            Fact::StoryInsights(story) => Some(story.media_id.as_str()),
            _ => None,
        };
        object.map_or(Route::Account, Route::Object)
    }

    /// Its lane: the key that also decides its partition. Events of one lane stay in order.
    pub fn lane(&self) -> String {
        subjects::route_key(self.data.channel, &self.data.account_id, self.route())
    }

    /// The subject it is published on.
    pub fn nats_subject(&self) -> String {
        subjects::event(self.data.channel, &self.data.account_id, self.route(), self.kind())
    }

    /// The `Nats-Msg-Id`: the id, for revisions `<id>.r<N>`.
    pub fn nats_message_id(&self) -> String {
        match self.revision() {
            0 => self.id.to_string(),
            n => format!("{}.r{n}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Message;

    fn event() -> Event {
        let account = AccountId::from("17841400000000101");
        let fact = Fact::MessageReceived(Message {
            message_id: "mid.1".into(),
            text: Some("Grüße 😊".to_owned()),
            ..Message::default()
        });
        Event::new(
            EventId::derive(Channel::Instagram, &account, "message.received", &["mid.1"]),
            Timestamp::from_millis(1_795_000_200_000),
            Channel::Instagram,
            account,
            Some("5200000000000011".into()),
            Origin {
                via: Via::Webhook,
                source_era: None,
                raw_stream_sequence: Some(42),
                index: Some(0),
                revision: 0,
            },
            fact,
        )
    }

    #[test]
    fn an_event_survives_the_wire() {
        let event = event();
        let wire = serde_json::to_value(&event).unwrap();
        assert_eq!(wire["type"], "hookline.message.received.v1");
        assert_eq!(wire["subject"], wire["data"]["conversation_id"]);
        assert_eq!(wire["data"]["text"], "Grüße 😊");
        assert!(wire["data"].get("standby").is_none());
        assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), event);
    }

    #[test]
    fn a_source_is_a_uri_reference() {
        let mut event = event();
        assert_eq!(event.source(), "/instagram/17841400000000101");
        event.data.account_id = "a b/ä".into();
        assert_eq!(event.source(), "/instagram/a%20b%2F%C3%A4");
    }

    #[test]
    fn revisions_have_their_own_message_id() {
        let mut event = event();
        assert_eq!(event.nats_message_id(), event.id.as_str());
        event.data.origin.revision = 2;
        assert_eq!(event.nats_message_id(), format!("{}.r2", event.id));
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let mut wire = serde_json::to_value(event()).unwrap();
        wire["type"] = "hookline.message.sung.v1".into();
        let error = serde_json::from_value::<Event>(wire).unwrap_err().to_string();
        assert!(error.contains("message.sung"), "{error}");
    }
}
