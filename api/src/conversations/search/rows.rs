//! The statements of a search over `inbox.conversations` and `inbox.messages`. All of them run in the transaction that bounds their time.

use sqlx::PgConnection;

use crate::conversations::rows::{ConversationRow, ConversationsQuery};
use crate::list::{COUNT_MAX, Page};

/// One page of these conversations.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page_of(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    page: &Page,
    ids: &[String],
) -> sqlx::Result<Vec<ConversationRow>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url,
                c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text,
                c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count,
                c.window_expires_at, c.archived, c.assigned_to
         from inbox.conversations c
         where not c.blocked
           and ($1::text is null or c.channel = $1)
           and ($2::text is null or c.account_id = $2)
           and c.archived = $3
           and ($4::boolean is not true or c.unread_count > 0)
           and ($4::boolean is not false or c.unread_count = 0)
           and ($5::text is null or case when $5 = '' then c.assigned_to is null else c.assigned_to = $5 end)
           and c.id = any($6)
           and (c.last_message_at, c.id) < (coalesce($7::timestamptz, 'infinity'), coalesce($8::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $9",
    )
    .bind(query.channel)
    .bind(query.account_id.as_deref())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(ids)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
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
        "select count(*)
         from (select from inbox.conversations c
         where not c.blocked
           and ($1::text is null or c.channel = $1)
           and ($2::text is null or c.account_id = $2)
           and c.archived = $3
           and ($4::boolean is not true or c.unread_count > 0)
           and ($4::boolean is not false or c.unread_count = 0)
           and ($5::text is null or case when $5 = '' then c.assigned_to is null else c.assigned_to = $5 end)
           and c.id = any($6)
         limit $7) counted",
    )
    .bind(query.channel)
    .bind(query.account_id.as_deref())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(ids)
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(conn)
    .await
}

/// One page of the conversations that match, found by walking them: `pattern` for `ilike`, `text` for the id.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page_matching(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    page: &Page,
    pattern: &str,
    text: &str,
) -> sqlx::Result<Vec<ConversationRow>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url,
                c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text,
                c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count,
                c.window_expires_at, c.archived, c.assigned_to
         from inbox.conversations c
         where not c.blocked
           and ($1::text is null or c.channel = $1)
           and ($2::text is null or c.account_id = $2)
           and c.archived = $3
           and ($4::boolean is not true or c.unread_count > 0)
           and ($4::boolean is not false or c.unread_count = 0)
           and ($5::text is null or case when $5 = '' then c.assigned_to is null else c.assigned_to = $5 end)
           and (c.contact_name ilike $6 or c.contact_username ilike $6 or c.contact_id = $7
                or exists (select from inbox.messages m where m.conversation_id = c.id and m.text ilike $6))
           and (c.last_message_at, c.id) < (coalesce($8::timestamptz, 'infinity'), coalesce($9::text, ''))
         order by c.last_message_at desc, c.id desc
         limit $10",
    )
    .bind(query.channel)
    .bind(query.account_id.as_deref())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(pattern)
    .bind(text)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(conn)
    .await
}

/// How many conversations match, as [`page_matching`] finds them, counted up to [`COUNT_MAX`].
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total_matching(
    conn: &mut PgConnection,
    query: &ConversationsQuery,
    pattern: &str,
    text: &str,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.conversations c
         where not c.blocked
           and ($1::text is null or c.channel = $1)
           and ($2::text is null or c.account_id = $2)
           and c.archived = $3
           and ($4::boolean is not true or c.unread_count > 0)
           and ($4::boolean is not false or c.unread_count = 0)
           and ($5::text is null or case when $5 = '' then c.assigned_to is null else c.assigned_to = $5 end)
           and (c.contact_name ilike $6 or c.contact_username ilike $6 or c.contact_id = $7
                or exists (select from inbox.messages m where m.conversation_id = c.id and m.text ilike $6))
         limit $8) counted",
    )
    .bind(query.channel)
    .bind(query.account_id.as_deref())
    .bind(query.archived())
    .bind(query.unread)
    .bind(query.assigned_to.as_deref())
    .bind(pattern)
    .bind(text)
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(conn)
    .await
}

/// The conversations of up to `max` messages with this text; one may occur several times.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn with_text(
    conn: &mut PgConnection,
    pattern: &str,
    max: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select m.conversation_id from inbox.messages m
          where m.text ilike $1 and m.conversation_id is not null limit $2",
    )
    .bind(pattern)
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
    pattern: &str,
    id: &str,
    max: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.id from inbox.conversations c
          where c.contact_name ilike $1 or c.contact_username ilike $1 or c.contact_id = $2 limit $3",
    )
    .bind(pattern)
    .bind(id)
    .bind(max)
    .persistent(false)
    .fetch_all(conn)
    .await
}
