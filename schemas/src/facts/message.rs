//! ◆ Pure: messages and what happens to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::sender::SenderResolution;
use crate::{MessageId, Timestamp};

/// A message in either direction.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Meta's id of the message.
    pub message_id: MessageId,
    /// Its text.
    pub text: Option<String>,
    /// Its attachments, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The tapped quick reply.
    pub quick_reply: Option<QuickReply>,
    /// The quoted message or story.
    pub reply_to: Option<ReplyTo>,
    /// What brought the person here.
    pub referral: Option<Referral>,
    /// Meta does not show this content to apps.
    pub unsupported: Option<bool>,
    /// The message exists, its content could not be read.
    pub content_missing: Option<bool>,
    /// How the sender was found, where Meta named none.
    pub sender_resolution: Option<SenderResolution>,
    /// Outbound: the app that sent it.
    pub app_id: Option<String>,
    /// Outbound: the metadata set by the app that sent it.
    pub metadata: Option<String>,
    /// Inbound: the plugin reference by which the person was known before.
    pub user_ref: Option<String>,
}

/// An attachment as Meta describes it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// Meta's type, also one this version does not know.
    #[serde(rename = "type")]
    pub kind: String,
    /// A link that stops working after a while.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// What else Meta sent in the payload.
    pub payload: Option<Value>,
}

/// A tapped quick reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuickReply {
    /// The payload the button carried.
    pub payload: String,
}

/// What a message answers.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyTo {
    /// The quoted message, which may be unknown here.
    pub message_id: Option<MessageId>,
    /// The quoted story.
    pub story: Option<Story>,
}

/// A story of the account.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Story {
    /// Its media id.
    pub id: Option<String>,
    /// A link that ends with the story.
    pub url: Option<String>,
}

/// What brought a person here, wherever Meta put it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Referral {
    /// `ADS`, `SHORTLINK`, `IGME-SOURCE-LINK`, …
    pub source: Option<String>,
    /// `OPEN_THREAD`, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The `ref` parameter of the link or ad.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The ad.
    pub ad_id: Option<String>,
    /// The ad set.
    pub adset_id: Option<String>,
    /// The campaign.
    pub campaign_id: Option<String>,
    /// The page the link was on.
    pub referer_uri: Option<String>,
    /// The product the person came from.
    pub product_id: Option<String>,
    /// What the ad showed.
    pub ads_context_data: Option<Value>,
}

/// A changed message.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageEdited {
    /// The message.
    pub message_id: MessageId,
    /// Its new text.
    pub text: Option<String>,
    /// Meta's count of edits of this message, from 1.
    pub edit_number: Option<i64>,
    /// How the sender was found, where Meta named none.
    pub sender_resolution: Option<SenderResolution>,
}

/// An unsent message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageDeleted {
    /// The message.
    pub message_id: MessageId,
}

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum By {
    /// The person.
    Contact,
    /// The account.
    Account,
}

crate::words! { By, "side of a conversation": Contact = "contact", Account = "account" }

/// A reaction to a message, or its withdrawal.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    /// The message.
    pub message_id: MessageId,
    /// Meta's word for it, such as `love`.
    pub reaction: Option<String>,
    /// The emoji.
    pub emoji: Option<String>,
    /// Who reacted.
    pub by: By,
}

/// A delivery or read receipt.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Instagram, and Messenger deliveries with `mids`: this message.
    pub message_id: Option<MessageId>,
    /// Messenger: every message of the account up to this time.
    pub watermark: Option<Timestamp>,
}
