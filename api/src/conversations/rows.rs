//! `inbox.conversations`: what can be asked of it, its rows and the statements over it.

use schemas::{AccountId, Channel, ContactId};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::IntoParams;

use crate::auth::Reach;
use crate::list::{COUNT_MAX, Page, flag, scope};
use crate::time::Time;

/// Which conversations.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversationsQuery {
    /// Only this channel: `instagram` or `messenger`.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// `true`: only archived ones. Unset or `false`: only those not archived.
    pub archived: Option<bool>,
    /// `true`: only those with unread messages; `false`: only those without.
    pub unread: Option<bool>,
    /// Part of the person's name, handle, id, or of the text of a message.
    pub q: Option<String>,
    /// Only those assigned to this name; empty: only those assigned to nobody.
    pub assigned_to: Option<String>,
    /// Only those with this label.
    pub label: Option<String>,
    /// `true`: only snoozed ones. Unset or `false`: only those that are not, or not any more.
    pub snoozed: Option<bool>,
    /// What the caller may see of them.
    #[serde(skip)]
    #[param(ignore)]
    pub reach: Reach,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

impl ConversationsQuery {
    /// The accounts whose rows are shown; `None`: whichever.
    pub(crate) fn accounts(&self) -> Option<Vec<String>> {
        self.reach.within(self.account_id.as_deref())
    }

    pub(crate) fn scope(&self) -> String {
        let filters = [
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
            ("archived", flag(Some(self.archived()))),
            ("unread", flag(self.unread)),
            ("q", self.q.as_deref()),
            ("assigned_to", self.assigned_to.as_deref()),
            ("label", self.label.as_deref()),
            ("snoozed", flag(Some(self.snoozed()))),
        ];
        scope("conversations", &filters)
    }

    pub(crate) fn archived(&self) -> bool {
        self.archived.unwrap_or(false)
    }

    pub(crate) fn snoozed(&self) -> bool {
        self.snoozed.unwrap_or(false)
    }

    /// Nothing is filtered, but for archived and snoozed ones, and the caller sees all accounts.
    pub(crate) fn is_plain(&self) -> bool {
        self.channel.is_none()
            && self.accounts().is_none()
            && self.unread.is_none()
            && self.assigned_to.is_none()
            && self.label.is_none()
            && !self.snoozed()
            && self.search().is_none()
    }

    /// What is searched for.
    pub(crate) fn search(&self) -> Option<&str> {
        self.q.as_deref().map(str::trim).filter(|q| !q.is_empty())
    }
}

/// A conversation as it comes.
#[derive(FromRow)]
pub(crate) struct ConversationRow {
    pub id: String,
    pub channel: Channel,
    pub account_id: AccountId,
    pub contact_id: ContactId,
    pub contact_name: String,
    pub contact_username: Option<String>,
    pub contact_avatar_url: Option<String>,
    pub contact_placeholder: String,
    pub last_message_id: Option<String>,
    pub last_message_mid: Option<String>,
    pub last_message_direction: Option<String>,
    pub last_message_text: Option<String>,
    pub last_message_attachments: Option<Value>,
    pub last_message_sent_at: Option<Time>,
    pub last_message_deleted_at: Option<Time>,
    pub last_message_at: Time,
    pub unread_count: i64,
    pub window_expires_at: Option<Time>,
    pub archived: bool,
    pub assigned_to: Option<String>,
    pub labels: Vec<String>,
    pub snoozed_until: Option<Time>,
}

/// One page of the list without filters, which is what most requests ask for. This statement is prepared once.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page_of_all(
    pool: &PgPool,
    archived: bool,
    page: &Page,
) -> sqlx::Result<Vec<ConversationRow>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url,
                c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text,
                c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count,
                c.window_expires_at, c.archived, c.assigned_to, c.labels,
                case when c.snoozed_until > now() then c.snoozed_until end as snoozed_until
         from inbox.conversations c
         where not c.blocked and c.archived = $1 and coalesce(c.snoozed_until > now(), false) = false
           and (c.last_message_at, c.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $4",
    )
    .bind(archived)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .fetch_all(pool)
    .await
}

/// One page of a list with filters.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    query: &ConversationsQuery,
    page: &Page,
) -> sqlx::Result<Vec<ConversationRow>> {
    sqlx::query_as(
        concat!("select c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url,
                c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text,
                c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count,
                c.window_expires_at, c.archived, c.assigned_to, c.labels,
                case when c.snoozed_until > now() then c.snoozed_until end as snoozed_until
         from inbox.conversations c
         ", include_str!("filter.sql"), "and (c.last_message_at, c.id) < (coalesce($8::timestamptz, 'infinity'), coalesce($9::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $10"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

/// How many conversations the filters let through, counted up to [`COUNT_MAX`].
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total(pool: &PgPool, query: &ConversationsQuery) -> sqlx::Result<i64> {
    sqlx::query_scalar(concat!(
        "select count(*)
         from (select from inbox.conversations c
         ",
        include_str!("filter.sql"),
        "limit $8) counted"
    ))
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(pool)
    .await
}

/// One conversation: also an archived one, and one of a blocked contact.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn one(pool: &PgPool, id: &str) -> sqlx::Result<Option<ConversationRow>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url,
                c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text,
                c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count,
                c.window_expires_at, c.archived, c.assigned_to, c.labels,
                case when c.snoozed_until > now() then c.snoozed_until end as snoozed_until
         from inbox.conversations c
         where c.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// What the conversations of an account amount to.
#[derive(FromRow)]
pub(crate) struct Figures {
    pub last_message_at: Option<Time>,
    pub conversations: i64,
    pub unread_conversations: i64,
}

/// The figures of one account.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn figures(
    pool: &PgPool,
    channel: Channel,
    account_id: &str,
) -> sqlx::Result<Figures> {
    sqlx::query_as(
        "select max(last_message_at) as last_message_at, count(*) as conversations,
                count(*) filter (where unread_count > 0) as unread_conversations
         from inbox.conversations
         where channel = $1 and account_id = $2",
    )
    .bind(channel)
    .bind(account_id)
    .fetch_one(pool)
    .await
}
