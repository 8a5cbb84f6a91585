//! ◆ Pure: every kind of event and what it says beside the common part.

mod account;
mod comment;
mod contact;
mod conversation;
mod interaction;
mod kind;
mod message;
mod outcome;
mod post;
mod sender;
mod unsent;
mod webhook;
mod withdrawal;

pub use account::{PolicyEnforced, Rating, RolesChanged, TemplateStatus};
pub use comment::{Author, Comment, CommentAd, CommentReaction, Mention};
pub use contact::{BlockMark, ContactDiscovered, Profile};
pub use conversation::{
    ConversationAssigned, ConversationLabel, ConversationMark, ConversationNoted, ConversationRead,
    ConversationSnoozed, ThreadControl,
};
pub use interaction::{AccountLink, Feedback, Optin, Order, Postback, Product, ReferralReceived};
pub use kind::{Fact, Kind, UnknownKind};
pub use message::{
    Attachment, By, Message, MessageDeleted, MessageEdited, QuickReply, Reaction, Receipt,
    Referral, ReplyTo, Story,
};
pub use outcome::{CommandOutcome, OutcomeError, PartState, Reply, ReplyPart};
pub use post::{InsightsCaptured, PostChanged, PostReacted, StoryInsights};
pub use sender::{SenderResolution, SenderUnresolved, TriedMethod};
pub use unsent::erase_story;
pub use webhook::WebhookShape;
pub use withdrawal::{FactWithdrawn, WithdrawReason};
