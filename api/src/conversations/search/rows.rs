//! The statements of a search over `inbox.conversations`, `inbox.messages` and `inbox.names`. All of them run in the transaction that
//! bounds their time. A page is found as ids first: the rest of its rows is read for these alone. Conversations are looked up by a lateral
//! subquery (`offset 0`): a join would read the whole table for a thousand of them.

use std::time::Duration;

use sqlx::{FromRow, PgConnection};

use crate::conversations::rows::{ConversationRow, ConversationsQuery};
use crate::list::{COUNT_MAX, Page};

/// What is searched for.
pub(crate) struct Sought {
    /// For `ilike`.
    pub pattern: String,
    /// As it is: the id of a person.
    pub text: String,
}

/// Sets the limits of a search for the rest of its transaction: the time of each statement, and one processor.
///
/// # Errors
/// `sqlx::Error`; call again.
pub(crate) async fn limit(conn: &mut PgConnection, time: Duration) -> sqlx::Result<()> {
    let time = format!("{}ms", time.as_millis().max(1));
    sqlx::query(
        "select set_config('statement_timeout', $1, true) as _time,
                set_config('max_parallel_workers_per_gather', '0', true) as _workers",
    )
    .bind(time)
    .execute(conn)
    .await
    .map(|_| ())
}

/// The conversations of up to `max` messages with this text; one may occur several times.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn with_text(
    conn: &mut PgConnection,
    sought: &Sought,
    max: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select m.conversation_id from inbox.messages m
          where m.text ilike $1 and m.conversation_id is not null limit $2",
    )
    .bind(&sought.pattern)
    .bind(max)
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// Up to `max` conversations of people with this name, handle or id.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn of_person(
    conn: &mut PgConnection,
    sought: &Sought,
    max: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select n.conversation_id from inbox.names n where n.text ilike $1
         union select c.id from inbox.conversations c where c.contact_id = $2
         limit $3",
    )
    .bind(&sought.pattern)
    .bind(&sought.text)
    .bind(max)
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// One page of these conversations.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page_of(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    page: &Page,
    ids: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        concat!("select c.id
         from unnest($8::text[]) found(id) cross join lateral (
             select c.id, c.channel, c.account_id, c.archived, c.unread_count, c.assigned_to, c.snoozed_until, c.blocked, c.last_message_at
               from inbox.conversations c where c.id = found.id offset 0) c
         ", include_str!("../filter.sql"), "and (c.last_message_at, c.id) < (coalesce($9::timestamptz, 'infinity'), coalesce($10::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $11"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(ids)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// One page of those of the `newest` conversations that match, looked at one by one.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page_among_newest(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    page: &Page,
    sought: &Sought,
    newest: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        concat!("select c.id
         from (select c.id, c.contact_id, c.last_message_at
         from inbox.conversations c
         ", include_str!("../filter.sql"), "and (c.last_message_at, c.id) < (coalesce($10::timestamptz, 'infinity'), coalesce($11::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $13) c
         where (c.contact_id = $9
                or exists (select from inbox.names n where n.conversation_id = c.id and n.text ilike $8 offset 0)
                or exists (select from inbox.messages m where m.conversation_id = c.id and m.text ilike $8 offset 0))
         order by c.last_message_at desc, c.id desc
         limit $12"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(&sought.pattern)
    .bind(&sought.text)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .bind(newest)
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// Whether there are more than the `newest` conversations among which a text was looked for.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn are_older(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    page: &Page,
    newest: i64,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        concat!("select count(*) > $10
         from (select c.id
         from inbox.conversations c
         ", include_str!("../filter.sql"), "and (c.last_message_at, c.id) < (coalesce($8::timestamptz, 'infinity'), coalesce($9::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $10 + 1) looked_at"),
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
    .bind(newest)
    .persistent(false)
    .fetch_one(conn)
    .await
}

/// One page of the conversations that match. All messages that do are looked up, which takes long for a frequent text.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page_of_all_matches(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    page: &Page,
    sought: &Sought,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        concat!("select c.id
         from inbox.conversations c
         ", include_str!("../filter.sql"), "and (c.contact_id = $9
                or c.id in (select n.conversation_id from inbox.names n where n.text ilike $8)
                or c.id in (select m.conversation_id from inbox.messages m where m.text ilike $8 and m.conversation_id is not null))
           and (c.last_message_at, c.id) < (coalesce($10::timestamptz, 'infinity'), coalesce($11::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $12"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(&sought.pattern)
    .bind(&sought.text)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// The rows of a page.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn rows_of(
    conn: &mut PgConnection,
    ids: &[String],
) -> sqlx::Result<Vec<ConversationRow>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url,
                c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text,
                c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count,
                c.window_expires_at, c.archived, c.assigned_to, c.labels,
                case when c.snoozed_until > now() then c.snoozed_until end as snoozed_until
         from unnest($1::text[]) found(id) join inbox.conversations c on c.id = found.id
         order by c.last_message_at desc, c.id desc",
    )
    .bind(ids)
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// How many of these conversations the filters let through, counted up to [`COUNT_MAX`].
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total_of(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    ids: &[String],
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        concat!("select count(*)
         from (select from unnest($8::text[]) found(id) cross join lateral (
             select c.id, c.channel, c.account_id, c.archived, c.unread_count, c.assigned_to, c.snoozed_until, c.blocked, c.last_message_at
               from inbox.conversations c where c.id = found.id offset 0) c
         ", include_str!("../filter.sql"), "limit $9) counted"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(ids)
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(conn)
    .await
}

/// How far a text was counted.
#[derive(FromRow)]
pub(crate) struct Counted {
    /// Messages that were looked at, at most as many as asked for.
    pub messages: i64,
    /// Conversations of these, and of people with the text in their name, up to [`COUNT_MAX`].
    pub conversations: i64,
}

/// How many conversations match, by the first `max` messages that do.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total_of_first(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    sought: &Sought,
    max: i64,
) -> sqlx::Result<Counted> {
    sqlx::query_as(
        concat!("with matching as materialized (
             select m.conversation_id as id from inbox.messages m
              where m.text ilike $8 and m.conversation_id is not null limit $10)
         select (select count(*) from matching) as messages, count(*) as conversations
         from (select from (select id from matching
                            union select n.conversation_id from inbox.names n where n.text ilike $8
                            union select p.id from inbox.conversations p where p.contact_id = $9) found
         cross join lateral (
             select c.id, c.channel, c.account_id, c.archived, c.unread_count, c.assigned_to, c.snoozed_until, c.blocked, c.last_message_at
               from inbox.conversations c where c.id = found.id offset 0) c
         ", include_str!("../filter.sql"), "limit $11) counted"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(&sought.pattern)
    .bind(&sought.text)
    .bind(max)
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(conn)
    .await
}

/// How many conversations match, looked at one by one, counted up to [`COUNT_MAX`].
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total_one_by_one(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    sought: &Sought,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        concat!("select count(*)
         from (select from inbox.conversations c
         ", include_str!("../filter.sql"), "and (c.contact_id = $9
                or exists (select from inbox.names n where n.conversation_id = c.id and n.text ilike $8 offset 0)
                or exists (select from inbox.messages m where m.conversation_id = c.id and m.text ilike $8 offset 0))
         limit $10) counted"),
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(query.label.as_deref())
    .bind(query.snoozed())
    .bind(&sought.pattern)
    .bind(&sought.text)
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(conn)
    .await
}
