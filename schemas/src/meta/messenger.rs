//! ◆ Pure: items of `messaging[]` and `standby[]`, equal for Messenger and Instagram, and Page feed changes
//! (docs/meta-platform.md 6.1, 7).

use serde_json::value::RawValue;

use super::json::Node;
use crate::Timestamp;
use crate::facts::Referral;

/// A side of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// PSID, IGSID, Page or account id.
    pub id: Option<String>,
    /// A plugin's reference where Meta names no id.
    pub user_ref: Option<String>,
}

impl Party {
    fn read(node: Option<Node<'_>>) -> Self {
        node.map_or_else(Self::default, |node| Self {
            id: node.id("id"),
            user_ref: node.id("user_ref"),
        })
    }
}

/// An item of `messaging[]` or `standby[]`.
#[derive(Clone, Debug)]
pub struct MessagingItem<'a> {
    /// Who acts.
    pub sender: Party,
    /// On whom.
    pub recipient: Party,
    /// When, by Meta's clock; often missing on receipts and account linking.
    pub timestamp: Option<Timestamp>,
    /// The account wrote to itself.
    pub is_self: bool,
    /// The `user_ref` by which the person was known before.
    pub prior_user_ref: Option<String>,
    /// Referral right in the item, beside another payload or alone.
    pub referral: Option<Node<'a>>,
    /// The name of the payload.
    pub key: String,
    /// The payload; `None` when it is no object.
    pub payload: Option<Node<'a>>,
}

/// Payload keys by precedence: `referral` last, because it also accompanies others.
pub const PAYLOAD_KEYS: [&str; 18] = [
    "message",
    "message_edit",
    "reaction",
    "read",
    "delivery",
    "postback",
    "optin",
    "account_linking",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
    "policy_enforcement",
    "messaging_feedback",
    "response_feedback",
    "order",
    "message_edits",
    "referral",
];

/// Keys of an item that are no payload.
const COMMON_KEYS: [&str; 7] =
    ["sender", "recipient", "timestamp", "is_self", "prior_message", "is_echo", "hop_context"];

/// The payload key of a change whose value is a messaging item (docs/meta-platform.md 6.2); `None` for other fields.
pub fn payload_key_of_field(field: &str) -> Option<&'static str> {
    Some(match field {
        "messages" | "message_echoes" | "standby" => "message",
        "message_edit" | "message_edits" => "message_edit",
        "message_reactions" => "reaction",
        "messaging_seen" | "message_reads" => "read",
        "message_deliveries" => "delivery",
        "messaging_postbacks" => "postback",
        "messaging_referral" | "messaging_referrals" => "referral",
        "messaging_optins" => "optin",
        "messaging_account_linking" => "account_linking",
        "messaging_handover" | "messaging_handovers" => "pass_thread_control",
        "messaging_policy_enforcement" => "policy_enforcement",
        "messaging_feedback" => "messaging_feedback",
        "response_feedback" => "response_feedback",
        "send_cart" => "order",
        _ => return None,
    })
}

impl<'a> MessagingItem<'a> {
    /// Reads an item. `None` when it carries no payload at all.
    pub fn read(node: &Node<'a>) -> Option<Self> {
        // A payload beside one that is `null` counts; a `null` alone is named.
        let key = PAYLOAD_KEYS
            .into_iter()
            .find(|key| node.raw(key).is_some())
            .or_else(|| PAYLOAD_KEYS.into_iter().find(|key| node.has(key)))
            .or_else(|| node.keys().find(|key| !COMMON_KEYS.contains(key)))?
            .to_owned();
        let payload = node.node(&key);
        Some(Self::with(node, if key == "message_edits" { "message_edit" } else { &key }, payload))
    }

    /// Reads the `value` of a change: an item, or the bare payload named by the field.
    pub fn read_change(node: &Node<'a>, payload_key: &str) -> Option<Self> {
        if PAYLOAD_KEYS.iter().any(|key| node.has(key)) {
            return Self::read(node);
        }
        let bare = node.has("mid") || node.has("watermark");
        if bare {
            Some(Self::with(node, payload_key, Some(node.clone())))
        } else {
            Self::read(node)
        }
    }

    fn with(node: &Node<'a>, key: &str, payload: Option<Node<'a>>) -> Self {
        let prior = node.node("prior_message").filter(|prior| prior.has("identifier"));
        Self {
            sender: Party::read(node.node("sender")),
            recipient: Party::read(node.node("recipient")),
            timestamp: node.time("timestamp"),
            is_self: node.flag("is_self"),
            prior_user_ref: prior.and_then(|prior| prior.id("identifier")),
            referral: node.node("referral"),
            key: key.to_owned(),
            payload,
        }
    }
}

/// Reads a referral, wherever it stands (docs/meta-platform.md 6.1, 7.1).
pub fn referral(node: &Node<'_>) -> Referral {
    Referral {
        source: node.text("source"),
        kind: node.text("type"),
        reference: node.text("ref"),
        ad_id: node.id("ad_id"),
        adset_id: node.id("adset_id"),
        campaign_id: node.id("campaign_id"),
        referer_uri: node.text("referer_uri"),
        product_id: node
            .node("product")
            .and_then(|product| product.id("id"))
            .or_else(|| node.id("product_id")),
        ads_context_data: node.json("ads_context_data"),
    }
}

/// A change of a Page's feed (docs/meta-platform.md 7.2); also of `mention`.
#[derive(Clone, Debug)]
pub struct FeedChange {
    /// `comment`, `reaction`, `like`, `post`, `status`, `photo`, …
    pub item: String,
    /// `add`, `edited`, `remove`, `hide`, `unhide`, …
    pub verb: String,
    /// The person or Page; missing without permission.
    pub from_id: Option<String>,
    /// Their name.
    pub from_name: Option<String>,
    /// The post.
    pub post_id: Option<String>,
    /// The comment.
    pub comment_id: Option<String>,
    /// The post, or the comment that is answered.
    pub parent_id: Option<String>,
    /// When the object was made.
    pub created_time: Option<Timestamp>,
    /// When a comment was edited.
    pub edited_time: Option<Timestamp>,
    /// The text.
    pub message: Option<String>,
    /// `like`, `love`, …
    pub reaction_type: Option<String>,
    /// A link.
    pub link: Option<String>,
    /// Pictures.
    pub photos: Vec<String>,
    /// A picture or sticker of a comment.
    pub photo: Option<String>,
    /// The film of a comment, as a link.
    pub video: Option<String>,
    /// A video.
    pub video_id: Option<String>,
    /// Whether the post is published.
    pub published: Option<bool>,
    /// Hash over the whole value.
    pub hash: String,
}

impl FeedChange {
    /// Reads the `value` of a `feed` or `mention` change.
    pub fn read(node: &Node<'_>) -> Self {
        let from = node.node("from");
        let from = from.as_ref();
        Self {
            item: node.text("item").unwrap_or_default(),
            verb: node.text("verb").unwrap_or_default(),
            from_id: from.and_then(|from| from.id("id")).or_else(|| node.id("sender_id")),
            from_name: from.and_then(|from| from.text("name")).or_else(|| node.text("sender_name")),
            post_id: node.id("post_id"),
            comment_id: node.id("comment_id"),
            parent_id: node.id("parent_id"),
            created_time: node.time("created_time"),
            edited_time: node.time("edited_time"),
            message: node.text("message"),
            reaction_type: node.text("reaction_type"),
            link: node.text("link"),
            photos: node.list("photos").into_iter().filter_map(photo_link).collect(),
            photo: node.text("photo"),
            video: node.text("video"),
            video_id: node.id("video_id"),
            published: node.optional_flag("published"),
            hash: node.hash(),
        }
    }
}

fn photo_link(raw: &RawValue) -> Option<String> {
    super::json::text(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_referral_beside_a_message_does_not_hide_it() {
        let raw = raw(
            r#"{"sender":{"id":5},"message":{"mid":"m"},"referral":{"ref":"r"},"timestamp":"1527459824"}"#,
        );
        let item = MessagingItem::read(&Node::parse(&raw).unwrap()).unwrap();
        assert_eq!((item.key.as_str(), item.sender.id.as_deref()), ("message", Some("5")));
        assert_eq!(item.timestamp.unwrap().as_millis(), 1_527_459_824_000);
        assert!(item.referral.is_some());
    }

    #[test]
    fn a_null_does_not_hide_a_payload() {
        let raw = raw(r#"{"sender":{"id":"5"},"message":null,"read":{"mid":"m"}}"#);
        let item = MessagingItem::read(&Node::parse(&raw).unwrap()).unwrap();
        assert_eq!((item.key.as_str(), item.payload.is_some()), ("read", true));
    }

    #[test]
    fn unknown_payloads_are_named_and_empty_items_are_none() {
        let unknown = raw(r#"{"sender":{"id":"5"},"timestamp":1,"brand_new_event":{"mid":"x"}}"#);
        let item = MessagingItem::read(&Node::parse(&unknown).unwrap()).unwrap();
        assert_eq!(item.key, "brand_new_event");
        let empty = raw(r#"{"sender":{"id":"5"},"timestamp":1}"#);
        assert!(MessagingItem::read(&Node::parse(&empty).unwrap()).is_none());
    }

    #[test]
    fn a_change_may_hold_the_item_or_the_bare_payload() {
        for text in [
            r#"{"timestamp":1,"message_edit":{"mid":"m","num_edit":0}}"#,
            r#"{"mid":"m","num_edit":0}"#,
        ] {
            let raw = raw(text);
            let item =
                MessagingItem::read_change(&Node::parse(&raw).unwrap(), "message_edit").unwrap();
            assert_eq!(item.key, "message_edit");
            assert_eq!(item.payload.unwrap().id("mid").as_deref(), Some("m"));
        }
    }

    #[test]
    fn older_feed_changes_name_the_sender_differently() {
        let raw = raw(
            r#"{"item":"comment","verb":"add","sender_id":7300000000000333,"sender_name":"T","published":1}"#,
        );
        let change = FeedChange::read(&Node::parse(&raw).unwrap());
        assert_eq!(change.from_id.as_deref(), Some("7300000000000333"));
        assert_eq!((change.from_name.as_deref(), change.published), (Some("T"), Some(true)));
    }
}
