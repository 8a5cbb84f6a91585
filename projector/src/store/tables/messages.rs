//! Table `messages`. Receipts with a watermark show in its rows as `delivered_at` and `read_at`.

use schemas::{ContactId, ConversationId, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::of;
use super::receipts::OldReceipt;
use crate::batch::Weight;
use crate::fold::message::MessageRow;
use crate::fold::receipt::ReceiptRow;

#[derive(sqlx::FromRow)]
struct WeightRow {
    id: String,
    conversation_id: Option<String>,
    sent_at: Timestamp,
    hidden: bool,
    counts_unread: bool,
    opens_window: bool,
}

impl From<WeightRow> for Weight {
    fn from(row: WeightRow) -> Self {
        let WeightRow { id, conversation_id, sent_at, hidden, counts_unread, opens_window } = row;
        Self { id, conversation_id, sent_at, hidden, counts_unread, opens_window }
    }
}

/// Those of these messages that there are, as far as conversations depend on them.
pub(crate) async fn weights(conn: &mut PgConnection, ids: &[&str]) -> sqlx::Result<Vec<Weight>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<WeightRow> = sqlx::query_as(
        "select m.id, m.conversation_id, m.sent_at, m.hidden, m.counts_unread, m.opens_window
           from unnest($1::text[]) e(id) cross join lateral (
               select m.id, m.conversation_id, m.sent_at, m.hidden, m.counts_unread, m.opens_window from messages m
                where m.id = e.id offset 0) m",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
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
            least(m.delivered_by_id, (select min(r.at) from receipts r where m.direction = 'outbound'
                and r.conversation_id = m.conversation_id and r.kind = 'delivered' and r.watermark >= m.sent_at)),
            least(m.read_by_id, (select min(r.at) from receipts r where m.direction = 'outbound'
                and r.conversation_id = m.conversation_id and r.kind = 'read' and r.watermark >= m.sent_at))
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bool[], $9::text[],
                $10::jsonb[], $11::jsonb[], $12::jsonb[], $13::jsonb[], $14::jsonb[], $15::jsonb[], $16::timestamptz[], $17::bool[],
                $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::timestamptz[], $22::text[], $23::text[], $24::bool[],
                $25::bool[], $26::bool[], $27::bool[], $28::bool[], $29::text[], $30::bool[], $31::bool[], $32::text[])
              as m(id, channel, account_id, contact_id, conversation_id, message_id, direction, hidden, text, attachments,
                quick_reply, postback, reply_to, reactions, referral, sent_at, time_approximate, edited_at, deleted_at,
                delivered_by_id, read_by_id, reply_id, app_id, standby, is_self, backfilled, unsupported, content_missing,
                sender_resolution, counts_unread, opens_window, event_id)
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
    .bind(of(rows, |row| row.id.as_str()))
    .bind(of(rows, |row| row.channel.as_str()))
    .bind(of(rows, |row| row.account_id.as_str()))
    .bind(of(rows, |row| row.contact_id.as_ref().map(ContactId::as_str)))
    .bind(of(rows, |row| row.conversation_id.as_ref().map(ConversationId::as_str)))
    .bind(of(rows, |row| row.message_id.as_str()))
    .bind(of(rows, |row| row.direction.as_str()))
    .bind(of(rows, |row| row.hidden))
    .bind(of(rows, |row| row.text.as_deref()))
    .bind(of(rows, |row| Json(&row.attachments)))
    .bind(of(rows, |row| row.quick_reply.as_ref()))
    .bind(of(rows, |row| row.postback.as_ref()))
    .bind(of(rows, |row| row.reply_to.as_ref()))
    .bind(of(rows, |row| Json(&row.reactions)))
    .bind(of(rows, |row| row.referral.as_ref()))
    .bind(of(rows, |row| row.sent_at))
    .bind(of(rows, |row| row.time_approximate))
    .bind(of(rows, |row| row.edited_at))
    .bind(of(rows, |row| row.deleted_at))
    .bind(of(rows, |row| row.delivered_by_id))
    .bind(of(rows, |row| row.read_by_id))
    .bind(of(rows, |row| row.reply_id.as_deref()))
    .bind(of(rows, |row| row.app_id.as_deref()))
    .bind(of(rows, |row| row.standby))
    .bind(of(rows, |row| row.is_self))
    .bind(of(rows, |row| row.backfilled))
    .bind(of(rows, |row| row.unsupported))
    .bind(of(rows, |row| row.content_missing))
    .bind(of(rows, |row| row.sender_resolution.as_deref()))
    .bind(of(rows, |row| row.counts_unread))
    .bind(of(rows, |row| row.opens_window))
    .bind(of(rows, |row| row.event_id.as_str()))
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
pub(crate) async fn cover(conn: &mut PgConnection, receipts: &[ReceiptRow]) -> sqlx::Result<()> {
    let of_kind = |kind| receipts.iter().filter(|row| row.kind == kind).collect::<Vec<_>>();
    let (delivered, read) = (of_kind("delivered"), of_kind("read"));
    if !delivered.is_empty() {
        sqlx::query(
            "update messages m set delivered_at = least(m.delivered_at, found.at) from (
                select covered.id, min(r.at) as at
                  from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) r(conversation_id, watermark, at)
                 cross join lateral (
                    select m.id from messages m
                     where m.conversation_id = r.conversation_id and m.direction = 'outbound'
                       and coalesce(m.delivered_at, 'infinity'::timestamptz) > r.at and m.sent_at <= r.watermark
                    offset 0) covered
                 group by covered.id) found
              where m.id = any(array[found.id])",
        )
        .bind(of(&delivered, |row| row.conversation_id.as_str()))
        .bind(of(&delivered, |row| row.watermark))
        .bind(of(&delivered, |row| row.at))
        .execute(&mut *conn)
        .await?;
    }
    if !read.is_empty() {
        sqlx::query(
            "update messages m set read_at = least(m.read_at, found.at) from (
                select covered.id, min(r.at) as at
                  from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) r(conversation_id, watermark, at)
                 cross join lateral (
                    select m.id from messages m
                     where m.conversation_id = r.conversation_id and m.direction = 'outbound'
                       and coalesce(m.read_at, 'infinity'::timestamptz) > r.at and m.sent_at <= r.watermark
                    offset 0) covered
                 group by covered.id) found
              where m.id = any(array[found.id])",
        )
        .bind(of(&read, |row| row.conversation_id.as_str()))
        .bind(of(&read, |row| row.watermark))
        .bind(of(&read, |row| row.at))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
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
           from (
            select distinct covered.id
              from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                   as old(conversation_id, kind, watermark, at)
             cross join lateral (
                select m.id from messages m
                 where m.conversation_id = old.conversation_id and m.direction = 'outbound'
                   and coalesce(m.delivered_at, 'infinity'::timestamptz) = old.at and m.sent_at <= old.watermark
                offset 0) covered
             where old.kind = 'delivered') found
          where m.id = any(array[found.id])",
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
           from (
            select distinct covered.id
              from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                   as old(conversation_id, kind, watermark, at)
             cross join lateral (
                select m.id from messages m
                 where m.conversation_id = old.conversation_id and m.direction = 'outbound'
                   and coalesce(m.read_at, 'infinity'::timestamptz) = old.at and m.sent_at <= old.watermark
                offset 0) covered
             where old.kind = 'read') found
          where m.id = any(array[found.id])",
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
