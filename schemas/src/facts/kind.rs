//! ◆ Pure: every kind of event, and the fact it states.

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::account::{PolicyEnforced, Rating, RolesChanged, TemplateStatus};
use super::comment::{Comment, CommentReaction, Mention};
use super::contact::{BlockMark, ContactDiscovered, Profile};
use super::conversation::{
    ConversationAssigned, ConversationLabel, ConversationMark, ConversationNoted, ConversationRead,
    ConversationSnoozed, ThreadControl,
};
use super::interaction::{AccountLink, Feedback, Optin, Order, Postback, ReferralReceived};
use super::message::{Message, MessageDeleted, MessageEdited, Reaction, Receipt};
use super::outcome::{CommandOutcome, Reply};
use super::post::{InsightsCaptured, PostChanged, PostReacted, StoryInsights};
use super::sender::SenderUnresolved;
use super::webhook::WebhookShape;
use super::withdrawal::FactWithdrawn;

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
    ConversationRead(ConversationRead) = "conversation.read", "Somebody on our side read the conversation.";
    ConversationArchived(ConversationMark) = "conversation.archived", "Somebody archived the conversation.";
    ConversationUnarchived(ConversationMark) = "conversation.unarchived", "Somebody took the conversation out of the archive.";
    ConversationAssigned(ConversationAssigned) = "conversation.assigned", "Somebody assigned the conversation.";
    ConversationLabelled(ConversationLabel) = "conversation.labelled", "Somebody put a label on the conversation.";
    ConversationUnlabelled(ConversationLabel) = "conversation.unlabelled", "Somebody took a label off the conversation.";
    ConversationNoted(ConversationNoted) = "conversation.noted", "Somebody wrote a note about the conversation, for our side only.";
    ConversationSnoozed(ConversationSnoozed) = "conversation.snoozed", "Somebody snoozed the conversation, or ended that.";
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
