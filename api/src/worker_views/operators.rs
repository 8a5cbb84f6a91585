//! `worker.dead_list`, `worker.waiting_list`: what operators look at.

use std::borrow::Cow;

use runtime::db::absent_is_empty;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::list::{Keyed, Page};
use crate::time::Time;

/// Work that the normaliser holds back.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Dead {
    /// Its number.
    pub id: i64,
    /// What is held: a conversation, post, account, or one raw webhook.
    pub lane: String,
    /// The number of the era of META_RAW.
    pub raw_era: i16,
    /// The raw webhook's position.
    pub raw_seq: i64,
    /// Of its first event, like all that follow.
    pub channel: Option<String>,
    /// The account; empty where nothing could be read.
    pub account_id: String,
    /// The conversation.
    pub conversation_id: Option<String>,
    /// The event.
    pub event_id: Option<String>,
    /// Its kind.
    pub kind: Option<String>,
    /// `failed`, or `behind` an earlier one of its lane.
    pub role: String,
    /// The stable word of the cause.
    pub cause: String,
    /// The last error.
    pub last_error: Option<String>,
    /// Tries so far.
    pub attempts: i32,
    /// Since when.
    pub parked_at: Time,
    /// When it is retried; null: only when an operator asks.
    pub retry_at: Option<Time>,
}

impl Keyed for Dead {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.parked_at, format!("{:020}", self.id).into())
    }
}

/// An item whose webhook named no sender.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Waiting {
    /// The channel.
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// Meta's id of the message.
    pub message_id: String,
    /// The number of the edit; 0 announces a message.
    pub num_edit: i64,
    /// `waiting`, `unresolved` or `content`.
    pub state: String,
    /// Passes of the ladder so far.
    pub attempts: i32,
    /// When it is looked at again; null: when an event reveals its sender.
    pub due_at: Option<Time>,
    /// When the webhook came.
    pub received_at: Time,
    /// When it happened, by Meta's clock.
    pub time: Time,
}

impl Keyed for Waiting {
    fn key(&self) -> (Time, Cow<'_, str>) {
        let Self { channel, account_id, message_id, num_edit, .. } = self;
        (self.received_at, format!("{channel}/{account_id}/{message_id}/{num_edit}").into())
    }
}

/// One page of what the normaliser holds back.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn dead(pool: &PgPool, page: &Page) -> sqlx::Result<Vec<Dead>> {
    let rows = sqlx::query_as(
        "select d.id, d.lane, d.raw_era, d.raw_seq, d.channel, d.account_id, d.conversation_id, d.event_id, d.kind, d.role, d.cause,
                d.last_error, d.attempts, d.parked_at, d.retry_at
         from worker.dead_list d
         where (d.parked_at, lpad(d.id::text, 20, '0')) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))
         order by d.parked_at desc, lpad(d.id::text, 20, '0') desc
         limit $3",
    )
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}

/// One page of the waiting room.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn waiting(pool: &PgPool, page: &Page) -> sqlx::Result<Vec<Waiting>> {
    let rows = sqlx::query_as(
        "select w.channel, w.account_id, w.message_id, w.num_edit, w.state, w.attempts, w.due_at, w.received_at, w.time
         from worker.waiting_list w
         where (w.received_at, w.channel || '/' || w.account_id || '/' || w.message_id || '/' || w.num_edit)
               < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))
         order by w.received_at desc, w.channel || '/' || w.account_id || '/' || w.message_id || '/' || w.num_edit desc
         limit $3",
    )
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}
