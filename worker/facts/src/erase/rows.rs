//! Statements that erase rows of facts and of what follows from them, and count them for a plan.

use schemas::{AccountId, Channel, ContactId, ConversationId, EventId, MessageId, Timestamp};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};

/// How much there is of a person or of messages, as far as it is known without reading the streams.
#[derive(Clone, Copy, Debug, Default, Serialize, FromRow)]
pub struct ErasurePlan {
    /// Events.
    pub events: i64,
    /// Raw webhooks that some of it came in.
    pub raw_webhooks: i64,
    /// Messages.
    pub messages: i64,
    /// Commands in the ledger.
    pub commands: i64,
    /// Items of the waiting room.
    pub waiting: i64,
    /// Parked rows.
    pub parked: i64,
}

/// What is there of a person.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn plan_person(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    contact: &ContactId,
) -> sqlx::Result<ErasurePlan> {
    sqlx::query_as(
        "select f.events, f.raw_webhooks,
                (select count(*) from worker.messages where channel = $1 and account_id = $2 and contact_id = $3) as messages,
                (select count(*) from worker.commands where conversation_id = $4) as commands,
                (select count(*) from worker.waiting where channel = $1 and account_id = $2
                    and $3 in (payload_contact, revealed_contact, unresolved_contact)) as waiting,
                (select count(*) from worker.parked where conversation_id = $4) as parked
           from (select count(*) as events, count(distinct raw_seq) as raw_webhooks from worker.facts
                  where channel = $1 and account_id = $2 and contact_id = $3 and kind <> 'fact.withdrawn') f",
    )
    .bind(channel)
    .bind(account)
    .bind(contact)
    .bind(ConversationId::of(channel, account, contact))
    .fetch_one(pool)
    .await
}

/// What is there of messages.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn plan_messages(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    messages: &[MessageId],
) -> sqlx::Result<ErasurePlan> {
    sqlx::query_as(
        "select f.events, f.raw_webhooks,
                (select count(*) from worker.messages where channel = $1 and account_id = $2 and message_id = any($3)) as messages,
                (select count(distinct identity) from worker.parts where message_id = any($3)) as commands,
                (select count(*) from worker.waiting where channel = $1 and account_id = $2 and message_id = any($3)) as waiting,
                0::bigint as parked
           from (select count(*) as events, count(distinct raw_seq) as raw_webhooks from worker.facts
                  where channel = $1 and account_id = $2 and message_id = any($3)
                    and kind not in ('fact.withdrawn', 'message.deleted', 'message.delivered', 'message.read')) f",
    )
    .bind(channel)
    .bind(account)
    .bind(messages.iter().map(MessageId::as_str).collect::<Vec<_>>())
    .fetch_one(pool)
    .await
}

/// Forgets events that were withdrawn: readings, reports and sealed secrets.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn forget_events(conn: &mut PgConnection, ids: &[EventId]) -> sqlx::Result<u64> {
    let ids: Vec<&str> = ids.iter().map(EventId::as_str).collect();
    let done = sqlx::query(
        "delete from worker.facts where event_id = any($1) and kind <> 'fact.withdrawn'",
    )
    .bind(&ids)
    .execute(&mut *conn)
    .await?;
    sqlx::query("delete from worker.reports where event_id = any($1)")
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from worker.secrets where event_id = any($1)")
        .bind(&ids)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// A person of an account, and up to when they are forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten<'a> {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account: &'a AccountId,
    /// The person.
    pub contact: &'a ContactId,
    /// What they do later stays.
    pub until: Timestamp,
}

/// Forgets a person: whose messages are whose, the wish for their profile, what the policy knew, echoes, and facts that no event was found of.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn forget_person(conn: &mut PgConnection, who: Forgotten<'_>) -> sqlx::Result<u64> {
    let known = forget_what_is_known(conn, who).await?;
    Ok(known + forget_facts(conn, who).await?)
}

async fn forget_what_is_known(conn: &mut PgConnection, who: Forgotten<'_>) -> sqlx::Result<u64> {
    let messages = sqlx::query(
        "delete from worker.messages where channel = $1 and account_id = $2 and contact_id = $3 and time <= $4",
    )
    .bind(who.channel)
    .bind(who.account)
    .bind(who.contact)
    .bind(who.until)
    .execute(&mut *conn)
    .await?;
    let wants = sqlx::query(
        "delete from worker.contacts where channel = $1 and account_id = $2 and contact_id = $3 and last_trigger_at <= $4",
    )
    .bind(who.channel)
    .bind(who.account)
    .bind(who.contact)
    .bind(who.until)
    .execute(&mut *conn)
    .await?;
    let conversations = sqlx::query(
        "delete from worker.conversations where channel = $1 and account_id = $2 and contact_id = $3
            and coalesce(opened_at, '-infinity') <= $4 and coalesce(last_inbound_at, '-infinity') <= $4",
    )
    .bind(who.channel)
    .bind(who.account)
    .bind(who.contact)
    .bind(who.until)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "delete from worker.news n where n.conversation_id = $1
            and not exists (select from worker.conversations c where c.conversation_id = n.conversation_id)",
    )
    .bind(ConversationId::of(who.channel, who.account, who.contact))
    .execute(&mut *conn)
    .await?;
    let echoes = sqlx::query(
        "delete from worker.echoes where channel = $1 and account_id = $2 and peer = $3 and time <= $4",
    )
    .bind(who.channel)
    .bind(who.account)
    .bind(who.contact)
    .bind(who.until)
    .execute(conn)
    .await?;
    let done = [messages, wants, conversations, echoes];
    Ok(done.iter().map(sqlx::postgres::PgQueryResult::rows_affected).sum())
}

async fn forget_facts(conn: &mut PgConnection, who: Forgotten<'_>) -> sqlx::Result<u64> {
    let facts = sqlx::query(
        "delete from worker.facts
          where channel = $1 and account_id = $2 and contact_id = $3 and time <= $4 and kind <> 'fact.withdrawn'",
    )
    .bind(who.channel)
    .bind(who.account)
    .bind(who.contact)
    .bind(who.until)
    .execute(&mut *conn)
    .await?;
    // What refuses the return needs no more than the id of what was erased.
    sqlx::query(
        "update worker.facts set contact_id = null, message_id = null
          where channel = $1 and account_id = $2 and contact_id = $3 and time <= $4 and kind = 'fact.withdrawn'",
    )
    .bind(who.channel)
    .bind(who.account)
    .bind(who.contact)
    .bind(who.until)
    .execute(conn)
    .await?;
    Ok(facts.rows_affected())
}

/// Forgets what is known of messages: what an echo said, and facts with their content of which no event was found. That they were removed,
/// delivered or read stays, and whose they are.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn forget_messages(
    conn: &mut PgConnection,
    channel: Channel,
    account: &AccountId,
    messages: &[MessageId],
) -> sqlx::Result<u64> {
    let messages: Vec<&str> = messages.iter().map(MessageId::as_str).collect();
    let done = sqlx::query(
        "update worker.echoes set content = decode(repeat('00', 32), 'hex'), metadata = null, examined = true
          where channel = $1 and account_id = $2 and item_id = any($3)",
    )
    .bind(channel)
    .bind(account)
    .bind(&messages)
    .execute(&mut *conn)
    .await?;
    let ids: Vec<EventId> = sqlx::query_scalar(
        "select distinct f.event_id from worker.facts f
          where f.channel = $1 and f.account_id = $2 and f.message_id = any($3)
            and (f.kind in ('message.received', 'message.sent', 'message.edited', 'message.reacted', 'message.unreacted', 'postback.received',
                            'order.received', 'feedback.received', 'sender.unresolved')
                 or f.kind in ('reply.sent', 'reply.failed', 'reply.unknown')
                    and exists (select from worker.withdrawn w where w.event_id = f.event_id))",
    )
    .bind(channel)
    .bind(account)
    .bind(&messages)
    .fetch_all(&mut *conn)
    .await?;
    // The outcome of a reply that has sent others as well stays, without the words. It is not looked for by this message any more.
    sqlx::query(
        "update worker.facts set message_id = null
          where channel = $1 and account_id = $2 and message_id = any($3) and kind in ('reply.sent', 'reply.failed', 'reply.unknown')",
    )
    .bind(channel)
    .bind(account)
    .bind(&messages)
    .execute(&mut *conn)
    .await?;
    Ok(done.rows_affected() + forget_events(conn, &ids).await?)
}
