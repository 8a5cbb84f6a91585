//! ◆ Pure: commands: requests to act on Meta (docs/contract.md 6).

mod action;
mod error;
mod fields;
mod reply;
mod requester;
mod typed;
mod unchecked;

pub use action::{Action, COMMANDS};
pub use error::CommandError;
pub use fields::{CommentCreateData, CommentRef, CommentTextData, SenderActionData, SyncData};
pub use reply::{OutboundAttachment, OutboundQuickReply, ReplyData};
pub use requester::{RequestedBy, Requester};
pub use typed::Command;
pub use unchecked::UncheckedCommand;
