//! `inbox.messages`: its rows and the statements over it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::list::{Keyed, Page};
use crate::time::Time;

/// A message.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Message {
    /// Our id.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// Meta's id.
    pub message_id: String,
    /// `inbound`, `outbound` or `unknown`.
    pub direction: String,
    /// Its text as of the last edit; null when there is none or it was unsent.
    pub text: Option<String>,
    /// Its attachments.
    #[schema(value_type = Vec<Object>)]
    pub attachments: Value,
    /// The quoted message or story.
    #[schema(value_type = Option<Object>)]
    pub reply_to: Option<Value>,
    /// Present reactions.
    #[schema(value_type = Vec<Object>)]
    pub reactions: Value,
    /// When it was sent.
    pub sent_at: Time,
    /// When it was last edited.
    pub edited_at: Option<Time>,
    /// When it was unsent.
    pub deleted_at: Option<Time>,
    /// When it reached the person.
    pub delivered_at: Option<Time>,
    /// When the person read it.
    pub read_at: Option<Time>,
    /// What brought the person here.
    #[schema(value_type = Option<Object>)]
    pub referral: Option<Value>,
    /// Outbound: `api`, `app` or `other`.
    pub sent_by: Option<String>,
    /// Outbound: our reply.
    pub reply_id: Option<String>,
}

impl Keyed for Message {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.sent_at, Cow::Borrowed(&self.id))
    }
}

/// One page of the messages of a conversation.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    conversation_id: &str,
    page: &Page,
) -> sqlx::Result<Vec<Message>> {
    sqlx::query_as(
        "select id, message_id, direction, text, attachments, reply_to, reactions, sent_at, edited_at, deleted_at, delivered_at, read_at,
                referral, sent_by, reply_id
         from inbox.messages
         where conversation_id = $1
           and (sent_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
         order by sent_at desc, id desc
         limit $4",
    )
    .bind(conversation_id)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .fetch_all(pool)
    .await
}

/// Whether what a reply became is listed.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn has_reply(pool: &PgPool, reply_id: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from inbox.messages where reply_id = $1)")
        .bind(reply_id)
        .fetch_one(pool)
        .await
}
