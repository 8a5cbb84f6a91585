//! Table `conversations`: a conversation is also its contact and, where it is blocked, an entry of the block list.

use std::collections::BTreeMap;

use schemas::{AccountId, Channel, ContactId, Timestamp, window};
use serde_json::Value;
use sqlx::PgConnection;

use super::of;
use crate::batch::{ConversationBefore, Existing, Summary, Summed};
use crate::fold::conversation::{ConversationRow, Identity};

#[derive(sqlx::FromRow)]
struct IdentityRow {
    id: String,
    channel: Channel,
    account_id: AccountId,
    contact_id: ContactId,
}

impl From<IdentityRow> for (String, Identity) {
    fn from(row: IdentityRow) -> Self {
        let IdentityRow { id, channel, account_id, contact_id } = row;
        (id, Identity { channel, account_id, contact_id })
    }
}

#[derive(sqlx::FromRow)]
struct BeforeRow {
    id: String,
    channel: Channel,
    account_id: AccountId,
    contact_id: ContactId,
    read_until: Option<Timestamp>,
    interaction_at: Option<Timestamp>,
    known: bool,
    last_message_id: Option<String>,
    last_message_at: Option<Timestamp>,
    unread_count: i64,
    window_expires_at: Option<Timestamp>,
}

impl From<BeforeRow> for (String, ConversationBefore) {
    fn from(row: BeforeRow) -> Self {
        let summary = Summary {
            last: row.last_message_at.zip(row.last_message_id),
            unread: row.unread_count,
            opened: row.window_expires_at.map(|end| end.minus(window::STANDARD)),
        };
        let identity = Identity {
            channel: row.channel,
            account_id: row.account_id,
            contact_id: row.contact_id,
        };
        let before = ConversationBefore {
            identity,
            read_until: row.read_until,
            interaction_at: row.interaction_at,
            known: row.known,
            summary,
        };
        (row.id, before)
    }
}

/// What is there of these conversations.
pub(crate) async fn existing(conn: &mut PgConnection, ids: &[&str]) -> sqlx::Result<Existing> {
    let rows: Vec<BeforeRow> = sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.contact_id, c.read_until, c.interaction_at, c.known, c.last_message_id,
                c.last_message_at, c.unread_count, c.window_expires_at
           from unnest($1::text[]) e(id) cross join lateral (
               select c.id, c.channel, c.account_id, c.contact_id, c.read_until, c.interaction_at, c.known,
                      c.last_message_id, c.last_message_at, c.unread_count, c.window_expires_at
                 from conversations c where c.id = e.id offset 0) c",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    let rows: BTreeMap<String, ConversationBefore> = rows.into_iter().map(Into::into).collect();
    let others: Vec<&str> = ids.iter().copied().filter(|id| !rows.contains_key(*id)).collect();
    if others.is_empty() {
        return Ok(Existing { rows, ..Existing::default() });
    }
    let without_row: Vec<String> = sqlx::query_scalar(
        "select e.id from unnest($1::text[]) e(id) cross join lateral (
            select from messages m where m.conversation_id = e.id and not m.hidden limit 1) m",
    )
    .bind(others)
    .fetch_all(conn)
    .await?;
    Ok(Existing { rows, without_row: without_row.into_iter().collect() })
}

/// At most `limit` conversations other than these, in an order that follows from `seed`.
pub(crate) async fn sample(
    conn: &mut PgConnection,
    others_than: &[&str],
    seed: i64,
    limit: i64,
) -> sqlx::Result<BTreeMap<String, Identity>> {
    let rows: Vec<IdentityRow> = sqlx::query_as(
        "select id, channel, account_id, contact_id from conversations
          where id <> all($1) order by hashtextextended(id, $2), id limit $3",
    )
    .bind(others_than)
    .bind(seed)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Inserts or replaces rows.
pub(crate) async fn put(
    conn: &mut PgConnection,
    rows: &[(ConversationRow, Summary)],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into conversations (
            id, channel, account_id, contact_id, name, placeholder, enriched, username, avatar_url, profile,
            enriched_at, archived, assigned_to, blocked, block_name, block_reason, blocked_by, blocked_at, read_until,
            known, interaction_at, last_message_id, last_message_at, unread_count, window_expires_at, snoozed_until, snoozed_at)
         select *
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[],
                $9::text[], $10::jsonb[], $11::timestamptz[], $12::bool[], $13::text[], $14::bool[], $15::text[],
                $16::text[], $17::text[], $18::timestamptz[], $19::timestamptz[], $20::bool[], $21::timestamptz[],
                $22::text[], $23::timestamptz[], $24::bigint[], $25::timestamptz[], $26::timestamptz[], $27::timestamptz[])
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, contact_id = excluded.contact_id,
            name = excluded.name, placeholder = excluded.placeholder, enriched = excluded.enriched,
            username = excluded.username, avatar_url = excluded.avatar_url, profile = excluded.profile,
            enriched_at = excluded.enriched_at, archived = excluded.archived, assigned_to = excluded.assigned_to,
            blocked = excluded.blocked, block_name = excluded.block_name, block_reason = excluded.block_reason,
            blocked_by = excluded.blocked_by, blocked_at = excluded.blocked_at, read_until = excluded.read_until,
            known = excluded.known, interaction_at = excluded.interaction_at,
            last_message_id = excluded.last_message_id, last_message_at = excluded.last_message_at,
            unread_count = excluded.unread_count, window_expires_at = excluded.window_expires_at,
            snoozed_until = excluded.snoozed_until, snoozed_at = excluded.snoozed_at",
    )
    .bind(of(rows, |(row, _)| row.id.as_str()))
    .bind(of(rows, |(row, _)| row.identity.channel.as_str()))
    .bind(of(rows, |(row, _)| row.identity.account_id.as_str()))
    .bind(of(rows, |(row, _)| row.identity.contact_id.as_str()))
    .bind(of(rows, |(row, _)| row.contact.name.as_str()))
    .bind(of(rows, |(row, _)| row.contact.placeholder.as_str()))
    .bind(of(rows, |(row, _)| row.contact.enriched))
    .bind(of(rows, |(row, _)| row.contact.username.as_deref()))
    .bind(of(rows, |(row, _)| row.contact.avatar_url.as_deref()))
    .bind(of(rows, |(row, _)| row.contact.profile.as_ref()))
    .bind(of(rows, |(row, _)| row.contact.enriched_at))
    .bind(of(rows, |(row, _)| row.archived))
    .bind(of(rows, |(row, _)| row.assigned_to.as_deref()))
    .bind(of(rows, |(row, _)| row.blocked))
    .bind(of(rows, |(row, _)| row.block_name.as_deref()))
    .bind(of(rows, |(row, _)| row.block_reason.as_deref()))
    .bind(of(rows, |(row, _)| row.blocked_by.as_deref()))
    .bind(of(rows, |(row, _)| row.blocked_at))
    .bind(of(rows, |(row, _)| row.read_until))
    .bind(of(rows, |(row, _)| row.known))
    .bind(of(rows, |(row, _)| row.interaction_at))
    .bind(of(rows, |(_, shown)| shown.last.as_ref().map(|(_, id)| id.as_str())))
    .bind(of(rows, |(row, shown)| shown.last_at(row.interaction_at)))
    .bind(of(rows, |(_, shown)| shown.unread))
    .bind(of(rows, |(_, shown)| shown.window_end()))
    .bind(of(rows, |(row, _)| row.snoozed_until))
    .bind(of(rows, |(row, _)| row.snoozed_at))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Writes what rows show of their messages.
pub(crate) async fn sum_up(conn: &mut PgConnection, rows: &[Summed]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update conversations c set
            last_message_id = n.last_message_id, last_message_at = n.last_message_at, unread_count = n.unread_count,
            window_expires_at = n.window_expires_at
         from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::timestamptz[])
              as n(id, last_message_id, last_message_at, unread_count, window_expires_at)
         where c.id = any(array[n.id])",
    )
    .bind(of(rows, |row| row.id.as_str()))
    .bind(of(rows, |row| row.summary.last.as_ref().map(|(_, id)| id.as_str())))
    .bind(of(rows, |row| row.last_at))
    .bind(of(rows, |row| row.summary.unread))
    .bind(of(rows, |row| row.summary.window_end()))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Looks at all messages of these conversations and writes what their rows show of them; those without a visible message that are not known
/// otherwise go.
pub(crate) async fn recount(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update conversations c set
            last_message_id = a.last_id, last_message_at = coalesce(a.last_at, c.interaction_at),
            unread_count = a.unread, window_expires_at = a.opened + interval '24 hours'
         from (
            select b.id, l.id as last_id, l.sent_at as last_at,
                (select count(*) from messages m where m.conversation_id = b.id and not m.hidden and m.counts_unread
                    and m.sent_at > coalesce(b.read_until, '-infinity'::timestamptz)) as unread,
                (select m.sent_at from messages m where m.conversation_id = b.id and not m.hidden and m.opens_window
                  order by m.sent_at desc, m.id desc limit 1) as opened
            from unnest($1::text[]) as t(id)
            cross join lateral (select b.id, b.read_until from conversations b where b.id = t.id offset 0) b
            left join lateral (
                select m.id, m.sent_at from messages m where m.conversation_id = b.id and not m.hidden
                order by m.sent_at desc, m.id desc limit 1) l on true) a
         where c.id = any(array[a.id])",
    )
    .bind(ids)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "delete from conversations where id = any($1) and last_message_id is null and not known",
    )
    .bind(ids)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes rows.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from conversations where id = any($1)")
        .bind(ids)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Deletes all conversations but these.
pub(crate) async fn confine(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    sqlx::query("delete from conversations where id <> all($1)")
        .bind(ids)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The conversations of these mids without names and profiles, for `hookline trace`.
pub(crate) async fn trace(
    conn: &mut PgConnection,
    mids: &[String],
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('id', id, 'channel', channel, 'account_id', account_id, 'contact_id', contact_id,
                'last_message_id', last_message_id, 'unread_count', unread_count, 'window_expires_at', window_expires_at,
                'enriched_at', enriched_at)
           from conversations where id in (select conversation_id from messages where message_id = any($1)) limit $2",
    )
    .bind(mids)
    .bind(limit)
    .fetch_all(conn)
    .await
}
