//! ◆ Pure: an event as JSON.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;

use super::{Data, Event, Origin};
use crate::{AccountId, Channel, ContactId, ConversationId, EventId, Fact, Kind, Timestamp};

impl JsonSchema for Data {
    fn schema_name() -> Cow<'static, str> {
        "Data".into()
    }

    /// Of the part that is common to all kinds; [`Kind::body_schema`] is the rest.
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WireData::json_schema(generator)
    }
}

/// `data` on the wire: the common part, then the fields of the kind.
#[skip_serializing_none]
#[derive(Serialize, Deserialize, JsonSchema)]
struct WireData {
    /// The channel.
    channel: Channel,
    /// The canonical account.
    account_id: AccountId,
    /// The conversation; absent without a person.
    conversation_id: Option<ConversationId>,
    /// The person, as the account knows them; absent without one.
    contact_id: Option<ContactId>,
    /// `true`: Meta told no time, this is the time of the delivery.
    time_approximate: Option<bool>,
    /// `true`: another app owns the conversation.
    standby: Option<bool>,
    /// `true`: the account wrote to itself.
    #[serde(rename = "self")]
    is_self: Option<bool>,
    /// Where it came from.
    origin: Origin,
    #[serde(flatten)]
    #[schemars(skip)]
    fields: Map<String, Value>,
}

/// The envelope on the wire.
#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct WireEvent {
    specversion: String,
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
    source: String,
    subject: Option<ConversationId>,
    time: Timestamp,
    datacontenttype: Option<String>,
    dataschema: Option<String>,
    #[serde(default, deserialize_with = "crate::trace::lenient")]
    traceparent: Option<String>,
    data: WireData,
}

fn flag(value: bool) -> Option<bool> {
    value.then_some(true)
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.kind();
        let data = &self.data;
        WireEvent {
            specversion: "1.0".to_owned(),
            id: self.id.clone(),
            kind: Self::type_name(kind),
            source: self.source(),
            subject: data.conversation_id.clone(),
            time: self.time,
            datacontenttype: Some("application/json".to_owned()),
            dataschema: Some(Self::data_schema(kind)),
            traceparent: self.traceparent.clone(),
            data: WireData {
                channel: data.channel,
                account_id: data.account_id.clone(),
                conversation_id: data.conversation_id.clone(),
                contact_id: data.contact_id.clone(),
                time_approximate: flag(data.time_approximate),
                standby: flag(data.standby),
                is_self: flag(data.is_self),
                origin: data.origin.clone(),
                fields: data.fact.to_fields().map_err(serde::ser::Error::custom)?,
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let wire = WireEvent::deserialize(deserializer)?;
        if wire.specversion != "1.0" {
            return Err(D::Error::custom("`specversion` is not `1.0`"));
        }
        let kind: Kind = wire
            .kind
            .strip_prefix("hookline.")
            .and_then(|name| name.strip_suffix(".v1"))
            .ok_or_else(|| D::Error::custom("`type` is not `hookline.<kind>.v1`"))?
            .parse()
            .map_err(D::Error::custom)?;
        let data = wire.data;
        Ok(Self {
            id: wire.id,
            time: wire.time,
            traceparent: wire.traceparent,
            data: Data {
                channel: data.channel,
                account_id: data.account_id,
                conversation_id: data.conversation_id,
                contact_id: data.contact_id,
                time_approximate: data.time_approximate.unwrap_or(false),
                standby: data.standby.unwrap_or(false),
                is_self: data.is_self.unwrap_or(false),
                origin: data.origin,
                fact: Fact::from_fields(kind, data.fields).map_err(D::Error::custom)?,
            },
        })
    }
}
