//! `api.saved_replies`: its rows and the statements over it. `accounts` are those of the caller; `None`: all.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::list::{Keyed, Page};
use crate::time::Time;

/// A saved reply as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSavedReply {
    /// By which people find it.
    #[schema(example = "Opening hours")]
    pub name: String,
    /// What is answered.
    #[schema(example = "We are open from 9 to 5.")]
    pub text: String,
    /// The accounts it is for. Absent or null: all that the token sees, also those to come.
    pub account_ids: Option<Vec<String>>,
}

/// A saved reply.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct SavedReply {
    /// Our id.
    #[schema(example = "svd_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// By which people find it.
    pub name: String,
    /// What is answered.
    pub text: String,
    /// The accounts it is for, of those that the token sees; null: all.
    pub account_ids: Option<Vec<String>>,
    /// When it was saved.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl Keyed for SavedReply {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.created_at, Cow::Borrowed(&self.id))
    }
}

/// One page of those that are for one of these accounts, or for all.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    accounts: Option<Vec<String>>,
    page: &Page,
) -> sqlx::Result<Vec<SavedReply>> {
    sqlx::query_as(
        "select s.id, s.name, s.text, s.account_ids, s.created_at, s.updated_at
         from api.saved_replies s
         where ($1::text[] is null or s.account_ids is null or s.account_ids && $1)
           and (s.created_at, s.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
         order by s.created_at desc, s.id desc
         limit $4",
    )
    .bind(accounts)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .fetch_all(pool)
    .await
}

/// Inserts one, or finds the one that the same request made. `None`: that request asked for something else.
///
/// # Errors
/// `sqlx::Error`; whether it was stored is unknown, call again.
pub(crate) async fn create(
    pool: &PgPool,
    id: &str,
    new: &NewSavedReply,
    asked: &[u8; 32],
) -> sqlx::Result<Option<SavedReply>> {
    sqlx::query(
        "insert into api.saved_replies (id, name, text, account_ids, asked) values ($1, $2, $3, $4, $5)
         on conflict (id) do nothing",
    )
    .bind(id)
    .bind(&new.name)
    .bind(&new.text)
    .bind(&new.account_ids)
    .bind(asked.as_slice())
    .execute(pool)
    .await?;
    sqlx::query_as(
        "select s.id, s.name, s.text, s.account_ids, s.created_at, s.updated_at
         from api.saved_replies s where s.id = $1 and s.asked = $2",
    )
    .bind(id)
    .bind(asked.as_slice())
    .fetch_optional(pool)
    .await
}

/// Replaces the fields of one that is for these accounts alone. `None`: there is none.
///
/// # Errors
/// `sqlx::Error`; whether it was changed is unknown, call again.
pub(crate) async fn change(
    pool: &PgPool,
    id: &str,
    accounts: Option<Vec<String>>,
    new: &NewSavedReply,
) -> sqlx::Result<Option<SavedReply>> {
    sqlx::query_as(
        "update api.saved_replies s set name = $3, text = $4, account_ids = $5, updated_at = now()
         where s.id = $1 and ($2::text[] is null or s.account_ids <@ $2)
         returning s.id, s.name, s.text, s.account_ids, s.created_at, s.updated_at",
    )
    .bind(id)
    .bind(accounts)
    .bind(&new.name)
    .bind(&new.text)
    .bind(&new.account_ids)
    .fetch_optional(pool)
    .await
}

/// Deletes one that is for these accounts alone. `false`: there is none.
///
/// # Errors
/// `sqlx::Error`; whether it was deleted is unknown, call again.
pub(crate) async fn delete(
    pool: &PgPool,
    id: &str,
    accounts: Option<Vec<String>>,
) -> sqlx::Result<bool> {
    let gone = sqlx::query(
        "delete from api.saved_replies s where s.id = $1 and ($2::text[] is null or s.account_ids <@ $2)",
    )
    .bind(id)
    .bind(accounts)
    .execute(pool)
    .await?;
    Ok(gone.rows_affected() > 0)
}
