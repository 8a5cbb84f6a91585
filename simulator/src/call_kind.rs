//! ◆ Pure: kinds of Graph calls.

use serde::{Deserialize, Serialize};

/// Kinds of Graph calls, as faults and counts name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// `POST …/messages` with a message.
    Send,
    /// `POST …/messages` with `recipient.comment_id`.
    PrivateReply,
    /// `POST …/messages` with `sender_action`.
    SenderAction,
    /// `GET /{mid}`.
    MessageLookup,
    /// `GET …/conversations`.
    Conversations,
    /// `GET /{conversation}` and its `/messages`.
    Thread,
    /// `GET /{person}`.
    Profile,
    /// `GET /me`, `GET /{account}`, `GET /{page}?fields=access_token`.
    Account,
    /// `GET /debug_token`.
    DebugToken,
    /// `…/subscribed_apps`.
    Subscription,
    /// `GET /refresh_access_token`.
    TokenRefresh,
    /// Listing of media, posts and comments.
    CommentList,
    /// `GET /{comment}`.
    CommentRead,
    /// `POST /{comment}/replies`, Pages `POST /{comment}/comments`.
    CommentReply,
    /// `POST /{media}/comments`.
    CommentCreate,
    /// `POST /{comment}` with `hide` or `is_hidden`.
    CommentHide,
    /// `DELETE /{comment}`.
    CommentDelete,
    /// `GET /{account, media or story}/insights`.
    Insights,
    /// `POST /{dataset}/events`.
    Conversion,
    /// `POST /{page}/message_templates`.
    TemplateSubmit,
    /// `GET /{page}/message_templates`.
    TemplateRead,
    /// Anything else.
    Other,
}
