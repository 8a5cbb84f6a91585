//! ◆ Pure: every kind of event and what it says beside the common part.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;

use crate::{CommandId, EventId, MessageId, Timestamp};

macro_rules! facts {
    ($($variant:ident($body:ident) = $kind:literal, $doc:literal;)*) => {
        /// The kind of an event: what the `type` says between `hookline.` and `.v1`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {$(
            #[doc = $doc]
            $variant,
        )*}

        impl Kind {
            /// Every kind there is.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),*];

            /// The name with dots, such as `message.received`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Kind::$variant => $kind),* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Kind::$variant => $doc),* }
            }

            /// The JSON Schema of the part of `data` that belongs to this kind alone.
            pub fn body_schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self { $(Kind::$variant => <$body as JsonSchema>::json_schema(generator)),* }
            }
        }

        impl std::str::FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($kind => Ok(Kind::$variant),)*
                    other => Err(UnknownKind(other.chars().take(64).collect())),
                }
            }
        }

        /// One normalised fact: a kind with its own fields.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Fact {$(
            #[doc = $doc]
            $variant($body),
        )*}

        impl Fact {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Fact::$variant(_) => Kind::$variant),* }
            }

            /// Its own fields as JSON.
            ///
            /// # Errors
            /// Never for values built here; an error of `serde_json` otherwise.
            pub fn to_fields(&self) -> Result<Map<String, Value>, serde_json::Error> {
                let value = match self { $(Fact::$variant(body) => serde_json::to_value(body)?),* };
                match value {
                    Value::Object(fields) => Ok(fields),
                    _ => Err(serde::ser::Error::custom("the body of a fact is an object")),
                }
            }

            /// Reads the fields that belong to `kind`; others are ignored.
            ///
            /// # Errors
            /// When a field is missing or of the wrong type; the error names it.
            pub fn from_fields(kind: Kind, fields: Map<String, Value>) -> Result<Self, serde_json::Error> {
                let value = Value::Object(fields);
                Ok(match kind { $(Kind::$variant => Fact::$variant(serde_json::from_value(value)?)),* })
            }
        }
    };
}

/// The text names no kind of event this version knows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no kind of event this version knows")]
pub struct UnknownKind(String);

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

facts! {
    MessageReceived(Message) = "message.received", "A person wrote to the account.";
    MessageSent(Message) = "message.sent", "The account wrote to a person, as Meta tells it (echo or backfill).";
    MessageEdited(MessageEdited) = "message.edited", "The text of a message was changed.";
    MessageDeleted(MessageDeleted) = "message.deleted", "A message was unsent.";
    MessageReacted(Reaction) = "message.reacted", "Somebody reacted to a message.";
    MessageUnreacted(Reaction) = "message.unreacted", "Somebody took a reaction back.";
    MessageDelivered(Receipt) = "message.delivered", "Messages of the account reached the person.";
    MessageRead(Receipt) = "message.read", "The person read messages of the account.";
    PostbackReceived(Postback) = "postback.received", "A person tapped a button, menu entry or ice breaker.";
    ReferralReceived(ReferralReceived) = "referral.received", "A person came through a link or an ad into an existing conversation.";
    OptinReceived(Optin) = "optin.received", "A person opted in or out of notification messages, or used a plugin.";
    ThreadControlChanged(ThreadControl) = "thread.control_changed", "Another app took, passed or asked for the conversation.";
    AccountPolicyEnforced(PolicyEnforced) = "account.policy_enforced", "Meta warned, blocked or unblocked the account.";
    AccountRolesChanged(RolesChanged) = "account.roles_changed", "The roles of apps on the account changed.";
    FeedbackReceived(Feedback) = "feedback.received", "A person answered a feedback form or rated a response.";
    OrderReceived(Order) = "order.received", "A person sent a cart.";
    AccountLinkChanged(AccountLink) = "account_link.changed", "A person linked or unlinked their account.";
    RatingReceived(Rating) = "rating.received", "A person recommended or reviewed the Page.";
    TemplateStatusChanged(TemplateStatus) = "template.status_changed", "Meta approved, rejected or paused a message template.";
    CommentCreated(Comment) = "comment.created", "Somebody commented.";
    CommentEdited(Comment) = "comment.edited", "A comment's text was changed.";
    CommentDeleted(Comment) = "comment.deleted", "A comment was removed.";
    CommentHidden(Comment) = "comment.hidden", "A comment was hidden.";
    CommentUnhidden(Comment) = "comment.unhidden", "A hidden comment was shown again.";
    CommentReacted(CommentReaction) = "comment.reacted", "Somebody reacted to a comment.";
    CommentUnreacted(CommentReaction) = "comment.unreacted", "Somebody took a reaction to a comment back.";
    PostChanged(PostChanged) = "post.changed", "A post of the account appeared or changed.";
    PostReacted(PostReacted) = "post.reacted", "Somebody reacted to a post, or took it back.";
    MentionCreated(Mention) = "mention.created", "Somebody mentioned the account.";
    StoryInsights(StoryInsights) = "story.insights", "A story ended; its final figures.";
    InsightsCaptured(InsightsCaptured) = "insights.captured", "Figures read from Graph.";
    ContactDiscovered(ContactDiscovered) = "contact.discovered", "A person was seen for the first time.";
    ContactEnriched(Profile) = "contact.enriched", "A person's profile was read from Graph.";
    ConversationRead(ConversationMark) = "conversation.read", "Somebody on our side read the conversation.";
    ConversationArchived(ConversationMark) = "conversation.archived", "Somebody archived the conversation.";
    ConversationUnarchived(ConversationMark) = "conversation.unarchived", "Somebody took the conversation out of the archive.";
    ConversationAssigned(ConversationAssigned) = "conversation.assigned", "Somebody assigned the conversation.";
    ContactBlocked(BlockMark) = "contact.blocked", "A contact was put on the block list.";
    ContactUnblocked(BlockMark) = "contact.unblocked", "A contact was taken off the block list.";
    SenderUnresolved(SenderUnresolved) = "sender.unresolved", "A message exists whose sender is not known yet.";
    ReplySent(Reply) = "reply.sent", "A reply of ours was accepted by Meta.";
    ReplyFailed(Reply) = "reply.failed", "A reply of ours will not be sent.";
    ReplyUnknown(Reply) = "reply.unknown", "Nobody can tell whether a reply of ours was delivered; parked for a person.";
    CommandDone(CommandOutcome) = "command.done", "A command other than a reply took effect.";
    CommandFailed(CommandOutcome) = "command.failed", "A command other than a reply will not take effect.";
    CommandUnknown(CommandOutcome) = "command.unknown", "Nobody can tell whether a command took effect.";
    FactWithdrawn(FactWithdrawn) = "fact.withdrawn", "An earlier event no longer holds; beats every revision of it.";
    WebhookTest(WebhookShape) = "webhook.test", "A test delivery from Meta's dashboard.";
    WebhookUnrecognized(WebhookShape) = "webhook.unrecognized", "Part of a raw webhook that this version cannot read.";
}

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

impl Default for MessageId {
    fn default() -> Self {
        Self::new("")
    }
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

/// How a sender was found.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SenderResolution {
    /// `payload`, `known_message`, `twin`, `thread_id`, `graph_message`, `graph_message_other_host` or `conversation_scan`.
    pub method: String,
    /// Ids and outcomes that support it; no content.
    pub evidence: Option<Value>,
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

/// A change of the app that owns a conversation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadControl {
    /// `pass`, `take` or `request`.
    pub action: String,
    /// The app that had it; absent when idle.
    pub previous_owner_app_id: Option<String>,
    /// The app that has it now.
    pub new_owner_app_id: Option<String>,
    /// The app that is asked for it.
    pub requested_owner_app_id: Option<String>,
    /// What the other app added.
    pub metadata: Option<String>,
}

/// Meta acts against the account, or stops doing so.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyEnforced {
    /// `warning`, `block` or `unblock`.
    pub action: String,
    /// Meta's reason.
    pub reason: Option<String>,
}

/// Roles of apps on the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolesChanged {
    /// App id → roles such as `primary_receiver`.
    pub roles: std::collections::BTreeMap<String, Vec<String>>,
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

/// A recommendation or review of the Page.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rating {
    /// `add`, `edit`, `remove`, …
    pub verb: Option<String>,
    /// `rating`, `comment`, …
    pub item: Option<String>,
    /// The person.
    pub reviewer_id: Option<String>,
    /// The person's name.
    pub reviewer_name: Option<String>,
    /// `positive` or `negative`.
    pub recommendation_type: Option<String>,
    /// Stars of older reviews.
    pub rating: Option<i64>,
    /// What the person wrote.
    pub review_text: Option<String>,
    /// The story behind it.
    pub open_graph_story_id: Option<String>,
    /// A comment on it.
    pub comment_id: Option<String>,
}

/// The state of a message template.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateStatus {
    /// The template.
    pub template_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// `APPROVED`, `REJECTED`, `PENDING`, …
    pub status: Option<String>,
    /// Meta's reason.
    pub reason: Option<String>,
}

/// A comment, as far as the webhook tells.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// The comment.
    pub comment_id: String,
    /// The comment it answers; absent at top level.
    pub parent_id: Option<String>,
    /// Instagram: the media it stands under.
    pub media_id: Option<String>,
    /// Facebook: the post it stands under.
    pub post_id: Option<String>,
    /// Who wrote it; empty where Meta does not tell.
    #[serde(default)]
    pub author: Author,
    /// Its text.
    pub text: Option<String>,
    /// Written during a live video.
    pub live: Option<bool>,
    /// The ad the media was boosted by.
    pub ad: Option<CommentAd>,
    /// Instagram: FEED, REELS, STORY, AD, LIVE.
    pub media_product_type: Option<String>,
    /// Facebook: the picture or sticker of the comment.
    pub photo: Option<String>,
    /// When it was written, where the item tells apart from the event's own time (edits).
    pub created_at: Option<Timestamp>,
}

/// The author of a comment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// The person or Page.
    pub id: Option<String>,
    /// Instagram handle or Facebook name.
    pub username: Option<String>,
    /// It is the account itself: never answered automatically.
    #[serde(rename = "self")]
    pub is_self: Option<bool>,
}

/// The ad a comment stands under.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentAd {
    /// The ad.
    pub ad_id: Option<String>,
    /// Its title.
    pub ad_title: Option<String>,
    /// The media that was boosted.
    pub original_media_id: Option<String>,
}

/// A reaction to a comment, or its withdrawal.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentReaction {
    /// The comment.
    pub comment_id: String,
    /// The comment it answers.
    pub parent_id: Option<String>,
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Who reacted.
    #[serde(default)]
    pub author: Author,
    /// `like`, `love`, …
    pub reaction: Option<String>,
}

/// A post of the account.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostChanged {
    /// The post.
    pub post_id: Option<String>,
    /// `post`, `status`, `photo`, `video`, `share`, `album`, `event`, …
    pub item: String,
    /// `add`, `edited`, `hide`, `unhide`, `remove`, …
    pub verb: String,
    /// Who posted.
    #[serde(default)]
    pub author: Author,
    /// Its text.
    pub text: Option<String>,
    /// A link in it.
    pub link: Option<String>,
    /// Pictures in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub photos: Vec<String>,
    /// A video in it.
    pub video_id: Option<String>,
    /// Whether it is published.
    pub published: Option<bool>,
}

/// A reaction to a post.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostReacted {
    /// The post.
    pub post_id: String,
    /// `add`, `edit` or `remove`.
    pub verb: String,
    /// `like`, `love`, …
    pub reaction: Option<String>,
    /// Who reacted.
    #[serde(default)]
    pub author: Author,
}

/// A mention of the account.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mention {
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// The comment that mentions the account; absent when the media or post does.
    pub comment_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Facebook: `post` or `comment`.
    pub item: Option<String>,
    /// Facebook: `add`, `edited`, …
    pub verb: Option<String>,
    /// Facebook: its text; Instagram needs a read.
    pub text: Option<String>,
    /// Who wrote it, where Meta tells.
    #[serde(default)]
    pub author: Author,
}

/// Final figures of a story; -1 means below 5 (`meta-platform.md` section 6.2).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoryInsights {
    /// The story.
    pub media_id: String,
    /// Times shown.
    pub impressions: Option<i64>,
    /// People reached.
    pub reach: Option<i64>,
    /// Taps to the next.
    pub taps_forward: Option<i64>,
    /// Taps back.
    pub taps_back: Option<i64>,
    /// People who left.
    pub exits: Option<i64>,
    /// Replies.
    pub replies: Option<i64>,
}

/// Figures read from Graph.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InsightsCaptured {
    /// What was measured: `account` or `media`.
    pub object: String,
    /// The media; absent for the account.
    pub media_id: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// `day`, `week`, `lifetime`, …
    pub period: Option<String>,
    /// Meta's values with their end times.
    pub values: Value,
}

/// A person seen for the first time.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactDiscovered {
    /// `User 790621` or `IG User 0909`: last digits of the id.
    pub placeholder: String,
    /// A handle that came with the item, such as a comment's author.
    pub username: Option<String>,
    /// Last interaction, where a conversation listing told.
    pub last_interaction_at: Option<Timestamp>,
}

/// A person's profile: only the fields Meta allowed.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Full name.
    pub name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Instagram handle.
    pub username: Option<String>,
    /// A link that stops working within days.
    pub avatar_url: Option<String>,
    /// Language and country.
    pub locale: Option<String>,
    /// Hours from UTC.
    pub timezone: Option<f64>,
    /// Gender.
    pub gender: Option<String>,
    /// Verified by Instagram.
    pub verified: Option<bool>,
    /// Followers.
    pub follower_count: Option<i64>,
    /// The person follows the account.
    pub follows_account: Option<bool>,
    /// The account follows the person.
    pub followed_by_account: Option<bool>,
    /// The placeholder it replaces.
    pub placeholder: Option<String>,
    /// Where it was read: `graph.facebook` or `graph.instagram`.
    pub source: Option<String>,
}

/// An act of a person on our side.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationMark {
    /// Name of the API token that acted.
    pub by: Option<String>,
}

/// A conversation was assigned.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationAssigned {
    /// To whom; absent: to nobody.
    pub assigned_to: Option<String>,
    /// Name of the API token that acted.
    pub by: Option<String>,
}

/// A contact was put on or taken off the block list.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockMark {
    /// A name to show in the block list.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Name of the API token that acted.
    pub by: Option<String>,
}

/// A message without a known sender.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SenderUnresolved {
    /// The message.
    pub message_id: MessageId,
    /// What was tried, in order.
    #[serde(default)]
    pub tried: Vec<TriedMethod>,
    /// The edit that waits, when it is a real edit of an unknown message.
    pub edit_number: Option<i64>,
}

/// One step of the ladder and what it gave.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriedMethod {
    /// As in [`SenderResolution::method`].
    pub method: String,
    /// `nothing`, `not_tried`, `unavailable`, `refused`, `not_found`, `hint`, …
    pub outcome: String,
    /// Graph's error code, where it answered with one.
    pub code: Option<i64>,
}

/// The state of one part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum PartState {
    /// Meta accepted it.
    Sent,
    /// It will not be sent.
    Failed,
    /// Nobody can tell.
    Unknown,
    /// Not attempted, because an earlier part failed.
    Skipped,
}

crate::words! {
    PartState, "state of a part": Sent = "sent", Failed = "failed", Unknown = "unknown", Skipped = "skipped"
}

/// One part of a reply: long text is several.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyPart {
    /// From 0.
    pub n: u32,
    /// Meta's id, once known.
    pub message_id: Option<MessageId>,
    /// Its state.
    pub state: PartState,
    /// The text of this part.
    pub text: Option<String>,
    /// When Meta accepted it.
    pub sent_at: Option<Timestamp>,
}

/// The outcome of a reply.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The command's id.
    pub reply_id: CommandId,
    /// The text that was to be sent, whole.
    pub text: Option<String>,
    /// What was to be sent beside text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The quoted message.
    pub reply_to: Option<ReplyTo>,
    /// Its parts.
    pub parts: Vec<ReplyPart>,
    /// Why it failed.
    pub error: Option<OutcomeError>,
    /// HTTP calls made.
    pub attempts: u32,
    /// The rule of the policy that decided.
    pub rule: Option<String>,
    /// Who asked for it.
    pub requested_by: Option<crate::command::RequestedBy>,
    /// The event it answers.
    pub caused_by: Option<EventId>,
}

/// Why a command had no effect.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeError {
    /// Meta's code as text, or a stable word of ours such as `window_closed`.
    pub code: String,
    /// Meta's sub-code.
    pub subcode: Option<i64>,
    /// `window`, `recipient`, `auth`, `permission`, `throttled`, `invalid`, `unknown`, `refused`, …
    pub class: String,
    /// For people who operate; never a person's words.
    pub message: String,
}

/// The outcome of a command other than a reply.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandOutcome {
    /// The command.
    pub command_id: CommandId,
    /// Its name.
    pub command: String,
    /// What Meta answered, by its ids.
    pub result: Option<Value>,
    /// Why it had no effect.
    pub error: Option<OutcomeError>,
}

/// Why an event no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum WithdrawReason {
    /// A better fact took its place.
    Superseded,
    /// Today's normaliser no longer finds it.
    Vanished,
    /// Its content was erased.
    Erased,
}

crate::words! {
    WithdrawReason, "reason of a withdrawal": Superseded = "superseded", Vanished = "vanished", Erased = "erased"
}

/// Withdrawal of an event.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FactWithdrawn {
    /// The event that no longer holds.
    pub event_id: EventId,
    /// Why.
    pub reason: WithdrawReason,
    /// What took its place.
    pub superseded_by: Option<EventId>,
    /// The message it spoke of, for read models that index by message.
    pub message_id: Option<MessageId>,
}

/// Shape facts of a raw webhook, never content.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookShape {
    /// Why it is listed: `test_payload`, `not_json`, `unknown_field`, `unknown_item`, `unknown_object`, `unknown_account`, `wrong_app`, `invalid_item`, `bad_shape`.
    pub reason: String,
    /// `instagram`, `page`, or what stood there (cut to 64 characters).
    pub object: Option<String>,
    /// The `entry[].id`, opaque.
    pub entry_id: Option<String>,
    /// The name of the unknown field or key (cut to 64 characters).
    pub field: Option<String>,
    /// Names of the item's keys, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Fingerprint of the item's shape: hex of a hash over sorted paths and JSON types.
    pub shape: Option<String>,
    /// Bytes of the raw body.
    pub bytes: Option<u64>,
    /// The comment or message id, where the item has one.
    pub item_id: Option<String>,
}
