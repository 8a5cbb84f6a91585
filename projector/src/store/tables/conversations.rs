//! Table `conversations`: a conversation is also its contact and, where it is blocked, an entry of the block list.

use std::collections::BTreeMap;

use schemas::{AccountId, Channel, ContactId};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

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

/// Which of these conversations have a row, and whose they are.
pub(crate) async fn existing(
    conn: &mut PgConnection,
    ids: &[&str],
) -> sqlx::Result<BTreeMap<String, Identity>> {
    let rows: Vec<IdentityRow> = sqlx::query_as(
        "select id, channel, account_id, contact_id from conversations where id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
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

/// Inserts or replaces what does not follow from message rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[ConversationRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into conversations (
            id, channel, account_id, contact_id, name, placeholder, enriched, username, avatar_url, profile,
            enriched_at, archived, assigned_to, blocked, block_name, block_reason, blocked_by, blocked_at, read_until,
            known, interaction_at)
         select
            id, channel, account_id, contact_id, name, placeholder, enriched, username, avatar_url, profile,
            enriched_at, archived, assigned_to, blocked, block_name, block_reason, blocked_by, blocked_at, read_until,
            known, interaction_at
         from json_populate_recordset(null::conversations, $1::json) order by id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, contact_id = excluded.contact_id,
            name = excluded.name, placeholder = excluded.placeholder, enriched = excluded.enriched,
            username = excluded.username, avatar_url = excluded.avatar_url, profile = excluded.profile,
            enriched_at = excluded.enriched_at, archived = excluded.archived, assigned_to = excluded.assigned_to,
            blocked = excluded.blocked, block_name = excluded.block_name, block_reason = excluded.block_reason,
            blocked_by = excluded.blocked_by, blocked_at = excluded.blocked_at, read_until = excluded.read_until,
            known = excluded.known, interaction_at = excluded.interaction_at",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Computes what follows from message rows: last message, unread, window. `moved`: by how much the unread count of each of `ids` moves;
/// `None`: its messages are counted.
pub(crate) async fn aggregate(
    conn: &mut PgConnection,
    ids: &[&str],
    moved: &[Option<i64>],
) -> sqlx::Result<()> {
    sqlx::query(
        "update conversations c set
            last_message_id = a.last_id, last_message_at = coalesce(a.last_at, c.interaction_at),
            unread_count = a.unread, window_expires_at = a.opened + interval '24 hours'
         from (
            select b.id, l.id as last_id, l.sent_at as last_at,
                case when t.moved is null then
                    (select count(*) from messages m where m.conversation_id = b.id and m.counts_unread
                        and m.sent_at > coalesce(b.read_until, '-infinity'::timestamptz))
                    else b.unread_count + t.moved end as unread,
                (select max(m.sent_at) from messages m where m.conversation_id = b.id and m.opens_window) as opened
            from unnest($1::text[], $2::bigint[]) as t(id, moved)
            join conversations b on b.id = t.id
            left join lateral (
                select m.id, m.sent_at from messages m where m.conversation_id = b.id and not m.hidden
                order by m.sent_at desc, m.id desc limit 1) l on true) a
         where a.id = c.id",
    )
    .bind(ids)
    .bind(moved)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes those of these that have no visible message and are not known otherwise.
pub(crate) async fn drop_empty(conn: &mut PgConnection, ids: &[&str]) -> sqlx::Result<()> {
    sqlx::query(
        "delete from conversations where id = any($1) and last_message_id is null and not known",
    )
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
