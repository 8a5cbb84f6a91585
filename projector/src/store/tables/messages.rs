//! Table `messages`. Receipts with a watermark show in its rows as `delivered_at` and `read_at`.

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::receipts::OldReceipt;
use crate::fold::message::MessageRow;

/// Unread messages of one conversation.
#[derive(sqlx::FromRow)]
pub(crate) struct Unread {
    pub(crate) conversation_id: String,
    pub(crate) messages: i64,
}

/// The conversations that these messages belong to.
pub(crate) async fn conversations_of(
    conn: &mut PgConnection,
    ids: &[&str],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct conversation_id from messages where id = any($1) and conversation_id is not null",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// How many of these messages are unread, by conversation.
pub(crate) async fn unread_among(
    conn: &mut PgConnection,
    ids: &[&str],
) -> sqlx::Result<Vec<Unread>> {
    sqlx::query_as(
        "select m.conversation_id, count(*) as messages
           from messages m join conversations b on b.id = m.conversation_id
          where m.id = any($1) and m.counts_unread
            and m.sent_at > coalesce(b.read_until, '-infinity'::timestamptz)
          group by 1",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// Inserts or replaces rows. Receipts that cover them must be written before.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[MessageRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into messages (
            id, channel, account_id, contact_id, conversation_id, message_id, direction, hidden, text, attachments,
            quick_reply, postback, reply_to, reactions, referral, sent_at, time_approximate, edited_at, deleted_at,
            delivered_by_id, read_by_id, reply_id, app_id, standby, is_self, backfilled, unsupported, content_missing,
            sender_resolution, counts_unread, opens_window, event_id, delivered_at, read_at)
         select
            m.id, m.channel, m.account_id, m.contact_id, m.conversation_id, m.message_id, m.direction, m.hidden,
            m.text, m.attachments, m.quick_reply, m.postback, m.reply_to, m.reactions, m.referral, m.sent_at,
            m.time_approximate, m.edited_at, m.deleted_at, m.delivered_by_id, m.read_by_id, m.reply_id, m.app_id,
            m.standby, m.is_self, m.backfilled, m.unsupported, m.content_missing, m.sender_resolution,
            m.counts_unread, m.opens_window, m.event_id,
            least(m.delivered_by_id, (select min(r.at) from receipts r
              where m.direction = 'outbound' and r.conversation_id = m.conversation_id
                and r.kind = 'delivered' and r.watermark >= m.sent_at)),
            least(m.read_by_id, (select min(r.at) from receipts r
              where m.direction = 'outbound' and r.conversation_id = m.conversation_id
                and r.kind = 'read' and r.watermark >= m.sent_at))
         from json_populate_recordset(null::messages, $1::json) m order by m.id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, contact_id = excluded.contact_id,
            conversation_id = excluded.conversation_id, message_id = excluded.message_id,
            direction = excluded.direction, hidden = excluded.hidden, text = excluded.text,
            attachments = excluded.attachments, quick_reply = excluded.quick_reply, postback = excluded.postback,
            reply_to = excluded.reply_to, reactions = excluded.reactions, referral = excluded.referral,
            sent_at = excluded.sent_at, time_approximate = excluded.time_approximate, edited_at = excluded.edited_at,
            deleted_at = excluded.deleted_at, delivered_by_id = excluded.delivered_by_id,
            read_by_id = excluded.read_by_id, reply_id = excluded.reply_id, app_id = excluded.app_id,
            standby = excluded.standby, is_self = excluded.is_self, backfilled = excluded.backfilled,
            unsupported = excluded.unsupported, content_missing = excluded.content_missing,
            sender_resolution = excluded.sender_resolution, counts_unread = excluded.counts_unread,
            opens_window = excluded.opens_window, event_id = excluded.event_id, delivered_at = excluded.delivered_at,
            read_at = excluded.read_at",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes messages that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from messages where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Notes on the messages that these receipts cover that they were delivered or read.
///
/// What a receipt covers is found receipt by receipt, by index: joined as a whole, every receipt of a batch would be held against every
/// message of a long conversation.
pub(crate) async fn cover(conn: &mut PgConnection, receipts: &[&str]) -> sqlx::Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update messages m set delivered_at = least(m.delivered_at, found.at) from (
            select covered.id, min(r.at) as at from receipts r cross join lateral (
                select m.id from messages m
                 where m.conversation_id = r.conversation_id and m.direction = 'outbound'
                   and coalesce(m.delivered_at, 'infinity'::timestamptz) > r.at and m.sent_at <= r.watermark
                offset 0) covered
             where r.id = any($1) and r.kind = 'delivered' group by covered.id) found
          where found.id = m.id",
    )
    .bind(receipts)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update messages m set read_at = least(m.read_at, found.at) from (
            select covered.id, min(r.at) as at from receipts r cross join lateral (
                select m.id from messages m
                 where m.conversation_id = r.conversation_id and m.direction = 'outbound'
                   and coalesce(m.read_at, 'infinity'::timestamptz) > r.at and m.sent_at <= r.watermark
                offset 0) covered
             where r.id = any($1) and r.kind = 'read' group by covered.id) found
          where found.id = m.id",
    )
    .bind(receipts)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Computes the times anew of those messages that may have theirs from a receipt that changed or went.
pub(crate) async fn uncover(conn: &mut PgConnection, old: &[OldReceipt]) -> sqlx::Result<()> {
    if old.is_empty() {
        return Ok(());
    }
    let conversations: Vec<&str> = old.iter().map(|old| old.conversation_id.as_str()).collect();
    let kinds: Vec<&str> = old.iter().map(|old| old.kind.as_str()).collect();
    let watermarks: Vec<_> = old.iter().map(|old| old.watermark).collect();
    let times: Vec<_> = old.iter().map(|old| old.at).collect();
    sqlx::query(
        "update messages m set delivered_at = least(m.delivered_by_id, (select min(r.at) from receipts r
                where m.direction = 'outbound' and r.conversation_id = m.conversation_id
                  and r.kind = 'delivered' and r.watermark >= m.sent_at))
           from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                as old(conversation_id, kind, watermark, at)
          where old.kind = 'delivered' and m.conversation_id = old.conversation_id and m.direction = 'outbound'
            and coalesce(m.delivered_at, 'infinity'::timestamptz) = old.at and m.sent_at <= old.watermark",
    )
    .bind(&conversations)
    .bind(&kinds)
    .bind(&watermarks)
    .bind(&times)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update messages m set read_at = least(m.read_by_id, (select min(r.at) from receipts r
                where m.direction = 'outbound' and r.conversation_id = m.conversation_id
                  and r.kind = 'read' and r.watermark >= m.sent_at))
           from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                as old(conversation_id, kind, watermark, at)
          where old.kind = 'read' and m.conversation_id = old.conversation_id and m.direction = 'outbound'
            and coalesce(m.read_at, 'infinity'::timestamptz) = old.at and m.sent_at <= old.watermark",
    )
    .bind(&conversations)
    .bind(&kinds)
    .bind(&watermarks)
    .bind(&times)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Deletes all messages but those of these conversations.
pub(crate) async fn confine(conn: &mut PgConnection, conversations: &[String]) -> sqlx::Result<()> {
    sqlx::query("delete from messages where conversation_id is null or conversation_id <> all($1)")
        .bind(conversations)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The rows of these mids without what people wrote, for `hookline trace`.
pub(crate) async fn trace(
    conn: &mut PgConnection,
    mids: &[String],
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('id', id, 'message_id', message_id, 'conversation_id', conversation_id, 'direction', direction,
                'hidden', hidden, 'sent_at', sent_at, 'edited_at', edited_at, 'deleted_at', deleted_at, 'delivered_at', delivered_at,
                'read_at', read_at, 'reply_id', reply_id, 'content_missing', content_missing, 'sender_resolution', sender_resolution,
                'event_id', event_id) from messages where message_id = any($1) limit $2",
    )
    .bind(mids)
    .bind(limit)
    .fetch_all(conn)
    .await
}
