//! Statements of an erasure over rows of this room, and what it asks of others.

use schemas::{AccountId, Channel, ContactId, ConversationId, MessageId, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};

/// The messages that are known to be of a conversation, also those in the waiting room.
pub(super) async fn messages_of(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    contact: &ContactId,
    until: Timestamp,
) -> sqlx::Result<Vec<MessageId>> {
    sqlx::query_scalar(
        "select message_id from worker.messages where channel = $1 and account_id = $2 and contact_id = $3 and time <= $4
          union
         select w.message_id from worker.waiting w
          where w.channel = $1 and w.account_id = $2 and w.time <= $4
            and ($3 in (w.payload_contact, w.revealed_contact, w.unresolved_contact)
                 or exists (select from worker.messages m where m.channel = w.channel and m.account_id = w.account_id
                               and m.contact_id = $3 and (m.message_id = w.message_id or m.thread_id = w.thread_id)))
          union
         select p.message_id from worker.commands c join worker.parts p on p.identity = c.identity
          where c.conversation_id = $5 and p.message_id is not null and c.requested_at <= $4
          order by 1",
    )
    .bind(channel)
    .bind(account)
    .bind(contact)
    .bind(until)
    .bind(ConversationId::of(channel, account, contact))
    .fetch_all(pool)
    .await
}

/// The first event about messages in the present INBOX_EVENTS; 1 where none is known.
pub(super) async fn first_event(
    pool: &PgPool,
    (channel, account): (Channel, &AccountId),
    messages: &[MessageId],
) -> sqlx::Result<u64> {
    let first: Option<i64> = sqlx::query_scalar(
        "select min(event_seq) from worker.facts
          where channel = $1 and account_id = $2 and message_id = any($3)
            and event_era = (select worker.current_era('INBOX_EVENTS'))",
    )
    .bind(channel)
    .bind(account)
    .bind(messages.iter().map(MessageId::as_str).collect::<Vec<_>>())
    .fetch_one(pool)
    .await?;
    Ok(first.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(1))
}

/// Where raw webhooks about some messages begin.
#[derive(Debug, FromRow)]
pub(super) struct FirstRaw {
    /// The first raw webhook that gave a fact about one of them.
    pub(super) seq: Option<i64>,
    /// Of messages of which no webhook gave the fact: when the first of them was sent. Nothing about it came before.
    pub(super) since: Option<Timestamp>,
    /// Of one of them it is not known when it was sent.
    pub(super) is_open: bool,
}

/// Where in the present META_RAW messages may begin.
pub(super) async fn first_raw(
    pool: &PgPool,
    (channel, account): (Channel, &AccountId),
    messages: &[MessageId],
) -> sqlx::Result<FirstRaw> {
    sqlx::query_as(
        "with known as (
            select t.message_id,
                   min(f.raw_seq) filter (where f.by_webhook) as seq,
                   coalesce(bool_or(f.by_webhook and f.kind in ('message.received', 'message.sent')), false) as is_by_webhook,
                   least(min(least(f.time, f.recorded_at)) filter (where f.kind in ('message.received', 'message.sent')),
                         (select min(p.sent_at) from worker.parts p where p.message_id = t.message_id)) as sent_at
              from unnest($3::text[]) as t (message_id)
              left join (select message_id, kind, raw_seq, time, recorded_at,
                                rank = 3 and raw_era = (select worker.current_era('META_RAW')) as by_webhook
                           from worker.facts where channel = $1 and account_id = $2 and message_id = any($3)) f
                on f.message_id = t.message_id
             group by t.message_id)
         select min(seq) as seq, min(sent_at) filter (where not is_by_webhook) as since,
                coalesce(bool_or(not is_by_webhook and sent_at is null), true) as is_open
           from known",
    )
    .bind(channel)
    .bind(account)
    .bind(messages.iter().map(MessageId::as_str).collect::<Vec<_>>())
    .fetch_one(pool)
    .await
}

#[derive(FromRow)]
struct WhoseRow {
    message_id: MessageId,
    contact_id: Option<ContactId>,
}

/// Messages, each with the person of its conversation where that is known.
pub(super) async fn with_contacts(
    pool: &PgPool,
    (channel, account): (Channel, &AccountId),
    messages: &[MessageId],
) -> sqlx::Result<Vec<(MessageId, Option<ContactId>)>> {
    let rows: Vec<WhoseRow> = sqlx::query_as(
        "select t.message_id, m.contact_id from unnest($3::text[]) as t (message_id)
           left join worker.messages m on m.channel = $1 and m.account_id = $2 and m.message_id = t.message_id
          order by t.message_id",
    )
    .bind(channel)
    .bind(account)
    .bind(messages.iter().map(MessageId::as_str).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.message_id, row.contact_id)).collect())
}

/// Deletes what waits for its sender or found it: of a person, up to a time.
pub(super) async fn forget_senders(
    conn: &mut PgConnection,
    (channel, account): (Channel, &AccountId),
    contact: &ContactId,
    until: Timestamp,
) -> sqlx::Result<u64> {
    let waiting = sqlx::query(
        "delete from worker.waiting w
          where w.channel = $1 and w.account_id = $2 and w.time <= $4
            and ($3 in (w.payload_contact, w.revealed_contact, w.unresolved_contact)
                 or exists (select from worker.messages m where m.channel = w.channel and m.account_id = w.account_id
                               and m.contact_id = $3 and (m.message_id = w.message_id or m.thread_id = w.thread_id)))",
    )
    .bind(channel)
    .bind(account)
    .bind(contact)
    .bind(until)
    .execute(&mut *conn)
    .await?;
    let found = sqlx::query(
        "delete from worker.resolutions where channel = $1 and account_id = $2 and contact_id = $3",
    )
    .bind(channel)
    .bind(account)
    .bind(contact)
    .execute(conn)
    .await?;
    Ok(waiting.rows_affected() + found.rows_affected())
}

/// The same of messages.
pub(super) async fn forget_items(
    conn: &mut PgConnection,
    (channel, account): (Channel, &AccountId),
    messages: &[MessageId],
) -> sqlx::Result<u64> {
    let messages: Vec<&str> = messages.iter().map(MessageId::as_str).collect();
    let waiting = sqlx::query(
        "delete from worker.waiting where channel = $1 and account_id = $2 and message_id = any($3)",
    )
    .bind(channel)
    .bind(account)
    .bind(&messages)
    .execute(&mut *conn)
    .await?;
    let found = sqlx::query(
        "delete from worker.resolutions where channel = $1 and account_id = $2 and message_id = any($3)",
    )
    .bind(channel)
    .bind(account)
    .bind(&messages)
    .execute(conn)
    .await?;
    Ok(waiting.rows_affected() + found.rows_affected())
}

/// Asks the api to forget whom its requests were about: its own function does it. `false`: its tables are of a release without that.
pub(super) async fn forget_requests(
    pool: &PgPool,
    (channel, account): (Channel, &AccountId),
    contact: &ContactId,
    until: Timestamp,
) -> sqlx::Result<bool> {
    let there: Api = sqlx::query_as(
        "select exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                         where n.nspname = 'api' and p.proname = 'forget_conversation') as function,
                exists (select from pg_tables where schemaname = 'api' and tablename = 'requests') as requests",
    )
    .fetch_one(pool)
    .await?;
    if there.function {
        sqlx::query("select api.forget_conversation($1, $2)")
            .bind(ConversationId::of(channel, account, contact))
            .bind(until)
            .execute(pool)
            .await?;
    }
    Ok(there.function || !there.requests)
}

/// What schema `api` has.
#[derive(FromRow)]
struct Api {
    function: bool,
    requests: bool,
}
