//! ◆ Pure: commands: requests to act on Meta (docs/contract.md 6).

mod action;
mod conversion;
mod error;
mod fields;
mod insights;
mod limits;
mod personal;
mod reply;
mod requester;
pub mod split;
mod template;
mod typed;
mod unchecked;

pub use action::{Action, COMMANDS};
pub use conversion::{BUSINESS_MESSAGING, ConversionData};
pub use error::CommandError;
pub use fields::{
    AccountData, CommentCreateData, CommentHideManyData, CommentRef, CommentTextData,
    MediaSyncData, ReplyRef, ResolveData, SenderActionData, SyncData,
};
pub use insights::{INSIGHT_SCOPES, InsightsData};
pub use limits::check_parts;
pub use personal::{PERSONAL, hash_personal};
pub use reply::{OutboundAttachment, OutboundQuickReply, ReplyData};
pub use requester::{RequestedBy, Requester};
pub use template::{
    TemplateParameter, TemplateRef, TemplateSendData, TemplateSubmitData, body_placeholders,
    check_channel, slug,
};
pub use typed::Command;
pub use unchecked::UncheckedCommand;
