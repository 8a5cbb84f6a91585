//! `inbox.notes`: its rows and the statements over it.

use std::borrow::Cow;

use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::list::{Keyed, Page};
use crate::time::Time;

/// A note.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Note {
    /// Our id.
    #[schema(example = "note_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// What it says.
    pub text: String,
    /// Name of the API token that wrote it.
    pub by: Option<String>,
    /// When.
    pub created_at: Time,
}

impl Keyed for Note {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.created_at, Cow::Borrowed(&self.id))
    }
}

/// One page of the notes about a conversation.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    conversation_id: &str,
    page: &Page,
) -> sqlx::Result<Vec<Note>> {
    sqlx::query_as(
        "select n.id, n.text, n.noted_by as by, n.noted_at as created_at
         from inbox.notes n
         where n.conversation_id = $1
           and (n.noted_at, n.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
         order by n.noted_at desc, n.id desc
         limit $4",
    )
    .bind(conversation_id)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .fetch_all(pool)
    .await
}

/// One note.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn one(pool: &PgPool, id: &str) -> sqlx::Result<Option<Note>> {
    sqlx::query_as(
        "select n.id, n.text, n.noted_by as by, n.noted_at as created_at from inbox.notes n where n.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}
