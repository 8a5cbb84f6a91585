//! ◆ Pure: one call in the hands of the part that answers it, and what that part returns.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::error::GraphError;
use super::request::GraphRequest;
use crate::model::{AccountKey, Channel, Comment, Message};
use crate::payload::FeedVerb;
use crate::world::World;

/// What one call does and answers.
pub(super) struct Done {
    pub(super) answer: Result<Value, GraphError>,
    pub(super) created: Option<String>,
    pub(super) after: After,
}

/// The webhook it leads to.
pub(super) enum After {
    Nothing,
    Sent(Box<Message>),
    Commented(Box<Comment>, FeedVerb),
}

impl From<Result<Value, GraphError>> for Done {
    fn from(answer: Result<Value, GraphError>) -> Done {
        Done { answer, created: None, after: After::Nothing }
    }
}

/// One call in the hands of the part that answers it.
pub(super) struct Ask<'a> {
    pub(super) world: &'a mut World,
    pub(super) request: &'a GraphRequest,
    pub(super) account: AccountKey,
    pub(super) now: DateTime<Utc>,
    pub(super) app_id: u64,
}

impl Ask<'_> {
    pub(super) fn instagram(&self) -> bool {
        self.account.channel == Channel::Instagram
    }

    /// The path names the account itself: `me`, its id, page id or alias.
    pub(super) fn names_account(&self, id: &str) -> bool {
        id == "me"
            || self.world.spec(&self.account).is_some_and(|spec| {
                spec.id == id
                    || spec.page_id.as_deref() == Some(id)
                    || spec.alias.as_deref() == Some(id)
            })
    }
}
