//! `inbox.blocklist`: what can be asked of it, its rows and the statements over it.

use std::borrow::Cow;

use chrono::DateTime;
use schemas::{AccountId, Channel, ContactId};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Reach;
use crate::list::{COUNT_MAX, Keyed, Page, scope};
use crate::time::Time;

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BlocklistQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// What the caller may see of them.
    #[serde(skip)]
    #[param(ignore)]
    pub reach: Reach,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

impl BlocklistQuery {
    /// The accounts whose rows are shown; `None`: whichever.
    fn accounts(&self) -> Option<Vec<String>> {
        self.reach.within(self.account_id.as_deref())
    }

    pub(crate) fn scope(&self) -> String {
        let filters = [
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
        ];
        scope("blocklist", &filters)
    }
}

/// An entry of the block list.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Blocked {
    /// The channel.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// The person.
    pub contact_id: String,
    /// Their conversation.
    pub conversation_id: String,
    /// The name given with the entry, or the person's.
    pub name: String,
    /// Why.
    pub reason: Option<String>,
    /// The API token that did it.
    pub blocked_by: Option<String>,
    /// When.
    pub blocked_at: Option<Time>,
}

impl Keyed for Blocked {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (
            self.blocked_at.unwrap_or(Time(DateTime::UNIX_EPOCH)),
            Cow::Borrowed(&self.conversation_id),
        )
    }
}

/// One page of the list.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    query: &BlocklistQuery,
    page: &Page,
) -> sqlx::Result<Vec<Blocked>> {
    sqlx::query_as(
        "select b.channel, b.account_id, b.contact_id, b.conversation_id, b.name, b.reason, b.blocked_by, b.blocked_at
         from inbox.blocklist b
         where ($1::text is null or b.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then b.account_id = ($2)[1] else b.account_id = any($2) end)
           and (coalesce(b.blocked_at, 'epoch'::timestamptz), b.conversation_id)
               < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
         order by coalesce(b.blocked_at, 'epoch'::timestamptz) desc, b.conversation_id desc
         limit $5",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

/// How many entries the filters let through.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total(pool: &PgPool, query: &BlocklistQuery) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.blocklist b
         where ($1::text is null or b.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then b.account_id = ($2)[1] else b.account_id = any($2) end)
         limit $3) counted",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(pool)
    .await
}

/// The entry of one contact.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn one(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    contact: &ContactId,
) -> sqlx::Result<Option<Blocked>> {
    sqlx::query_as(
        "select b.channel, b.account_id, b.contact_id, b.conversation_id, b.name, b.reason, b.blocked_by, b.blocked_at
         from inbox.blocklist b
         where b.channel = $1 and b.account_id = $2 and b.contact_id = $3",
    )
    .bind(channel)
    .bind(account)
    .bind(contact)
    .fetch_optional(pool)
    .await
}
