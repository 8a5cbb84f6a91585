//! `worker.replies`: replies by the worker's ledger.

use std::borrow::Cow;

use runtime::db::absent_is_empty;
use schemas::{AccountId, Channel, ContactId};
use serde_json::Value;
use sqlx::{FromRow, PgPool};

use crate::list::{Keyed, Page};
use crate::status::ReplyStatus;
use crate::time::Time;

/// A reply by the worker's ledger.
#[derive(FromRow)]
pub(crate) struct ReplyRow {
    pub reply_id: String,
    pub status: ReplyStatus,
    pub channel: Channel,
    pub account_id: AccountId,
    pub conversation_id: Option<String>,
    pub contact_id: Option<ContactId>,
    pub text: Option<String>,
    /// An array of `{n, message_id?, state, sent_at?}`.
    pub parts: Value,
    pub error: Option<Value>,
    pub attempts: i32,
    pub rule: Option<String>,
    pub requested_at: Time,
    pub finished_at: Option<Time>,
    /// Why it waits although nothing is in flight.
    pub held: Option<String>,
    /// Its key in the ledger.
    pub identity: String,
}

impl Keyed for ReplyRow {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.requested_at, Cow::Borrowed(&self.identity))
    }
}

/// All replies with this id, at most 10: several accounts may have one. Empty also while the view is not there yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn by_id(pool: &PgPool, id: &str) -> sqlx::Result<Vec<ReplyRow>> {
    let rows = sqlx::query_as(
        "select r.reply_id, r.status, r.channel, r.account_id, r.conversation_id, r.contact_id, r.text, r.parts, r.error, r.attempts,
                r.rule, r.requested_at, r.finished_at, r.held, r.identity
         from worker.replies r
         where r.reply_id = $1
         limit 10",
    )
    .bind(id)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}

/// Which replies a list shows.
pub(crate) struct Wanted<'a> {
    pub channel: Option<Channel>,
    /// `None`: whichever.
    pub accounts: Option<Vec<String>>,
    pub conversation: Option<&'a str>,
    /// State in the ledger; `None`: all that are open or unknown.
    pub state: Option<&'static str>,
    /// Status as the api reports it; `None`: whichever.
    pub status: Option<&'static str>,
    /// `true`: only those that wait although nothing is in flight.
    pub held: bool,
}

/// One page of them.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    wanted: &Wanted<'_>,
    page: &Page,
) -> sqlx::Result<Vec<ReplyRow>> {
    let rows = sqlx::query_as(
        "select r.reply_id, r.status, r.channel, r.account_id, r.conversation_id, r.contact_id, r.text, r.parts, r.error, r.attempts,
                r.rule, r.requested_at, r.finished_at, r.held, r.identity
         from worker.replies r
         where ($1::text is null or r.channel = $1)
           and ($2::text[] is null or r.account_id = any($2))
           and ($3::text is null or r.conversation_id = $3)
           and case when $4::text is null then r.state in ('open', 'unknown') else r.state = $4 end
           and ($5::text is null or r.status = $5)
           and (not $6::boolean or r.held is not null)
           and (r.requested_at, r.identity) < (coalesce($7::timestamptz, 'infinity'), coalesce($8::text, ''))
         order by r.requested_at desc, r.identity desc
         limit $9",
    )
    .bind(wanted.channel)
    .bind(wanted.accounts.as_deref())
    .bind(wanted.conversation)
    .bind(wanted.state)
    .bind(wanted.status)
    .bind(wanted.held)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}
