//! `worker.conversion_list`: conversions by the worker's ledger.

use std::borrow::Cow;

use runtime::db::absent_is_empty;
use schemas::Channel;
use serde_json::Value;
use sqlx::{FromRow, PgPool};

use crate::list::{Keyed, Page};
use crate::status::CommandStatus;
use crate::time::Time;

/// A conversion by the worker's ledger.
#[derive(FromRow)]
pub(crate) struct ConversionRow {
    pub command_id: String,
    pub status: CommandStatus,
    pub channel: Channel,
    pub account_id: String,
    pub contact_id: Option<String>,
    pub dataset_id: Option<String>,
    pub event_name: Option<String>,
    pub event_id: String,
    pub event_time: Option<i64>,
    pub test_event_code: Option<String>,
    pub result: Option<Value>,
    pub error: Option<Value>,
    pub requested_at: Time,
    pub finished_at: Option<Time>,
    /// Its key in the ledger.
    pub identity: String,
}

impl Keyed for ConversionRow {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.requested_at, Cow::Borrowed(&self.identity))
    }
}

/// Which conversions a list shows.
pub(crate) struct Wanted {
    pub status: Option<CommandStatus>,
    pub channel: Option<Channel>,
    /// `None`: whichever.
    pub accounts: Option<Vec<String>>,
}

/// One page of them. Empty also while the view is not there yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    wanted: &Wanted,
    page: &Page,
) -> sqlx::Result<Vec<ConversionRow>> {
    let rows = sqlx::query_as(
        "select c.command_id, c.status, c.channel, c.account_id, c.contact_id, c.dataset_id, c.event_name, c.event_id, c.event_time,
                c.test_event_code, c.result, c.error, c.requested_at, c.finished_at, c.identity
         from worker.conversion_list c
         where ($1::text is null or c.channel = $1)
           and ($2::text[] is null or c.account_id = any($2))
           and ($3::text is null or c.status = $3)
           and (c.requested_at, c.identity) < (coalesce($4::timestamptz, 'infinity'), coalesce($5::text, ''))
         order by c.requested_at desc, c.identity desc
         limit $6",
    )
    .bind(wanted.channel)
    .bind(wanted.accounts.as_deref())
    .bind(wanted.status)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}
