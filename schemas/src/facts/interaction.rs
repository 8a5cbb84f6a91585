//! ◆ Pure: what a person does in a conversation beside writing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::message::Referral;
use crate::{MessageId, Timestamp};

/// A tapped button, menu entry or ice breaker.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Postback {
    /// Meta's id, absent on old API versions.
    pub message_id: Option<MessageId>,
    /// What the button said.
    pub title: String,
    /// What the button carried; missing in standby.
    pub payload: Option<String>,
    /// What brought the person here.
    pub referral: Option<Referral>,
    /// The person, where only a plugin reference is known.
    pub user_ref: Option<String>,
}

/// A referral into an existing conversation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralReceived {
    /// What brought the person here.
    pub referral: Referral,
    /// The person, where only a plugin reference is known.
    pub user_ref: Option<String>,
}

/// An opt-in. Its token is sealed in `worker` and never part of an event.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Optin {
    /// `notification_messages` or absent for plugins.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The payload set by us.
    pub payload: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The `ref` of the plugin.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The person, where only a plugin reference is known.
    pub user_ref: Option<String>,
    /// The person's time zone.
    pub timezone: Option<String>,
    /// `STOP_NOTIFICATIONS`, `RESUME_NOTIFICATIONS`.
    pub status: Option<String>,
    /// `REFRESHED`, `NOT_REFRESHED`.
    pub token_status: Option<String>,
    /// Until when the sealed token works.
    pub token_expires_at: Option<Timestamp>,
}

/// Answers to a feedback form, or a rating of one response.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Feedback {
    /// The rated message.
    pub message_id: Option<MessageId>,
    /// `Good response` or `Bad response`.
    pub rating: Option<String>,
    /// The screens of the form as Meta sends them.
    pub feedback_screens: Option<Value>,
}

/// A cart.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Meta's id of the message that carried it.
    pub message_id: Option<MessageId>,
    /// The items.
    #[serde(default)]
    pub products: Vec<Product>,
    /// What the person added.
    pub note: Option<String>,
}

/// An item of a cart.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    /// Meta's product id.
    pub id: Option<String>,
    /// The shop's product id.
    pub retailer_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Price of one, as Meta writes it.
    pub unit_price: Option<String>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
}

/// A person linked or unlinked their account. The authorisation code is sealed in `worker`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountLink {
    /// `linked` or `unlinked`.
    pub status: String,
}
