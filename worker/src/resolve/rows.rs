//! Table `worker.waiting`: claims, and what a pass over the ladder writes back. Any number of workers share it.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::facts::TriedMethod;
use schemas::{AccountId, Channel, ContactId, MessageId, Timestamp};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::evidence::{Author, Item, Method, State};
use crate::shares::{self, Shares};
use facts::Direction;

/// A claimed item.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) item: Item,
    /// When it was due as claimed: an event that reveals more meanwhile moves it.
    due_at: DateTime<Utc>,
    /// The replay that brought it.
    pub(super) replay: Option<String>,
}

/// Claims up to `limit` due items for `owner` for `lease`, of each account as many as its `share` is not used up by. New items come before
/// those that are tried again.
pub(super) async fn claim(
    pool: &PgPool,
    owner: &str,
    lease: Duration,
    limit: i64,
    share: i64,
    under_way: &Shares,
) -> sqlx::Result<Vec<Claimed>> {
    let (channels, accounts, counts) = shares::columns(under_way);
    let rows: Vec<WaitingRow> = sqlx::query_as(
        "with due as (
             select w.channel, w.account_id, w.message_id, w.num_edit
               from (select distinct channel, account_id from worker.waiting
                      where state <> 'resolved' and due_at <= clock_timestamp()) a
               left join unnest($5::text[], $6::text[], $7::bigint[]) as b (channel, account_id, under_way)
                 using (channel, account_id)
              cross join lateral (
                    select channel, account_id, message_id, num_edit, due_at from worker.waiting
                     where channel = a.channel and account_id = a.account_id
                       and state <> 'resolved' and due_at <= clock_timestamp()
                       and (claimed_until is null or claimed_until < clock_timestamp())
                     order by attempts > 0, due_at limit greatest($4 - coalesce(b.under_way, 0), 0)
                       for update skip locked) w
              order by w.due_at limit $3
         )
         update worker.waiting w
            set claimed_by = $1, claimed_until = clock_timestamp() + make_interval(secs => $2)
           from due d
          where (w.channel, w.account_id, w.message_id, w.num_edit) = (d.channel, d.account_id, d.message_id, d.num_edit)
         returning w.channel, w.account_id, w.message_id, w.num_edit, w.state, w.attempts, w.due_at, w.received_at, w.time,
                   w.time_approximate, w.created_time, w.thread_id, w.payload_contact, w.payload_outbound, w.standby, w.text,
                   w.raw_seq, w.raw_era, w.raw_index, w.traceparent, w.revealed_contact, w.revealed_direction, w.method,
                   w.unresolved_event, w.unresolved_contact, w.gone, w.replay,
                   (select s.unresolved_event is not null from worker.waiting s
                     where (s.channel, s.account_id, s.message_id) = (w.channel, w.account_id, w.message_id)
                       and s.num_edit <> w.num_edit and s.unresolved_event is not null and s.state <> 'resolved' limit 1)
                   as sibling_unresolved",
    )
    .bind(owner)
    .bind(lease.as_secs_f64())
    .bind(limit)
    .bind(share)
    .bind(channels)
    .bind(accounts)
    .bind(counts)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Claimed::from).collect())
}

/// Renews a claim of `owner` for as long as it is polled. While the database cannot be asked nothing can be written either.
pub(super) async fn keep(pool: &PgPool, owner: &str, item: &Item, lease: Duration) -> Infallible {
    loop {
        tokio::time::sleep(lease / 3).await;
        let renewed = sqlx::query(
            "update worker.waiting set claimed_until = clock_timestamp() + make_interval(secs => $6)
              where channel = $1 and account_id = $2 and message_id = $3 and num_edit = $4 and claimed_by = $5",
        )
        .bind(item.channel.as_str())
        .bind(item.account_id.as_str())
        .bind(item.message_id.as_str())
        .bind(item.num_edit)
        .bind(owner)
        .bind(lease.as_secs_f64())
        .execute(pool)
        .await;
        if let Err(error) = renewed {
            tracing::debug!(%error, "Could not renew the claim on a waiting item");
        }
    }
}

/// What is read of a row of `worker.waiting`.
#[derive(sqlx::FromRow)]
struct WaitingRow {
    channel: Channel,
    account_id: AccountId,
    message_id: MessageId,
    num_edit: i64,
    state: String,
    attempts: i32,
    due_at: DateTime<Utc>,
    received_at: Timestamp,
    time: Timestamp,
    time_approximate: bool,
    created_time: Option<Timestamp>,
    thread_id: Option<String>,
    payload_contact: Option<ContactId>,
    payload_outbound: bool,
    standby: bool,
    text: Option<String>,
    raw_seq: Option<i64>,
    raw_era: i16,
    raw_index: Option<i32>,
    traceparent: Option<String>,
    revealed_contact: Option<ContactId>,
    revealed_direction: Option<String>,
    method: Option<String>,
    unresolved_event: Option<String>,
    unresolved_contact: Option<ContactId>,
    sibling_unresolved: Option<bool>,
    gone: bool,
    replay: Option<String>,
}

impl From<WaitingRow> for Claimed {
    fn from(row: WaitingRow) -> Self {
        let item = Item {
            channel: row.channel,
            account_id: row.account_id,
            message_id: row.message_id,
            num_edit: row.num_edit,
            state: State::of_column(&row.state),
            attempts: u32::try_from(row.attempts).unwrap_or(0),
            received_at: row.received_at,
            time: row.time,
            time_approximate: row.time_approximate,
            created_time: row.created_time,
            thread_id: row.thread_id,
            payload_contact: row.payload_contact,
            payload_outbound: row.payload_outbound,
            standby: row.standby,
            text: row.text,
            raw_seq: row.raw_seq.and_then(|seq| u64::try_from(seq).ok()),
            raw_era: row.raw_era,
            raw_index: row.raw_index.and_then(|index| u32::try_from(index).ok()),
            traceparent: row.traceparent,
            revealed_contact: row.revealed_contact,
            revealed_direction: row.revealed_direction.as_deref().map(direction_of),
            settled_by: row.method.as_deref().and_then(Method::parse),
            unresolved: row.unresolved_event.is_some() || row.sibling_unresolved.unwrap_or(false),
            unresolved_contact: row.unresolved_contact,
            gone: row.gone,
        };
        Self { item, due_at: row.due_at, replay: row.replay }
    }
}

/// A person of a message, and the direction where it is known.
#[derive(sqlx::FromRow)]
struct AuthorRow {
    contact_id: ContactId,
    direction: Option<String>,
}

/// The author of a message by our own index.
pub(super) async fn known(pool: &PgPool, item: &Item) -> sqlx::Result<Option<Author>> {
    let row: Option<AuthorRow> = sqlx::query_as(
        "select contact_id, direction from worker.messages where channel = $1 and account_id = $2 and message_id = $3",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(item.message_id.as_str())
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|AuthorRow { contact_id, direction }| {
        let outbound = direction.as_deref() == Some(Direction::Outbound.as_str());
        let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
        Author { contact: contact_id, direction }
    }))
}

/// Adds what earlier events and items name of the message's author. Later ones wake the item themselves.
pub(super) async fn known_before(pool: &PgPool, mut claimed: Claimed) -> sqlx::Result<Claimed> {
    let item = &claimed.item;
    if item.payload_contact.is_some() || item.revealed_direction.is_some() {
        return Ok(claimed);
    }
    // Of several, one that names the direction: another item that names its author, or a receipt of what the account wrote.
    let row: Option<AuthorRow> = sqlx::query_as(
        "select contact_id, direction from (
             select payload_contact as contact_id, case when payload_outbound then 'outbound' else 'inbound' end as direction
               from worker.waiting
              where channel = $1 and account_id = $2 and message_id = $3 and num_edit <> $4 and payload_contact is not null
             union all
             select contact_id, case when kind in ('message.read', 'message.delivered') then 'outbound' end
               from worker.facts
              where channel = $1 and account_id = $2 and message_id = $3 and contact_id is not null
                and kind in ('message.read', 'message.delivered', 'message.deleted', 'message.reacted', 'message.unreacted')
         ) known order by direction is null limit 1",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(item.message_id.as_str())
    .bind(item.num_edit)
    .fetch_optional(pool)
    .await?;
    if let Some(AuthorRow { contact_id, direction }) = row {
        claimed.item.revealed_direction = direction.as_deref().map(direction_of);
        if direction.is_some() || claimed.item.revealed_contact.is_none() {
            claimed.item.revealed_contact = Some(contact_id);
        }
    }
    Ok(claimed)
}

fn direction_of(text: &str) -> Direction {
    if text == Direction::Inbound.as_str() { Direction::Inbound } else { Direction::Outbound }
}

/// People with known messages in the item's thread; two are as good as many.
pub(super) async fn people_of_thread(pool: &PgPool, item: &Item) -> sqlx::Result<Vec<ContactId>> {
    let Some(thread) = &item.thread_id else { return Ok(Vec::new()) };
    sqlx::query_scalar(
        "select distinct contact_id from worker.messages
          where channel = $1 and account_id = $2 and thread_id = $3 order by contact_id limit 2",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(thread)
    .fetch_all(pool)
    .await
}

/// What a pass that did not end the wait leaves behind.
pub(super) struct Pass<'a> {
    pub(super) state: State,
    pub(super) due_at: Option<Timestamp>,
    /// Counted as a pass over the whole ladder.
    pub(super) counted: bool,
    pub(super) tried: &'a [TriedMethod],
    pub(super) guesses: Option<&'a Value>,
    pub(super) gone: bool,
    /// Id and person of `sender.unresolved`, where it stands.
    pub(super) unresolved: Option<(String, Option<ContactId>)>,
    /// The author of a message that was published without content, and how that was found.
    pub(super) author: Option<(&'a Author, Method)>,
}

/// Gives up the claim of an item that goes on waiting. If an event revealed something meanwhile, the item is due at once.
pub(super) async fn wait(
    conn: &mut PgConnection,
    claimed: &Claimed,
    pass: &Pass<'_>,
) -> sqlx::Result<()> {
    let (event, contact) =
        pass.unresolved.clone().map_or((None, None), |(event, contact)| (Some(event), contact));
    sqlx::query(
        "update worker.waiting
            set due_at = case when state = 'resolved' or due_at is distinct from $5 then clock_timestamp() else $6 end,
                -- Its twin came while `sender.unresolved` was being published: that is to be withdrawn.
                state = case when state = 'resolved' and $7 <> 'unresolved' then state else $7 end,
                attempts = attempts + $8, tried = $9, guesses = coalesce($10, guesses), gone = gone or $11,
                unresolved_event = coalesce($12, unresolved_event),
                unresolved_contact = coalesce($13, unresolved_contact),
                revealed_contact = coalesce($14, revealed_contact), revealed_direction = coalesce($15, revealed_direction),
                method = coalesce($16, method), text = case when $7 = 'content' then null else text end,
                claimed_by = null, claimed_until = null
          where channel = $1 and account_id = $2 and message_id = $3 and num_edit = $4",
    )
    .bind(claimed.item.channel.as_str())
    .bind(claimed.item.account_id.as_str())
    .bind(claimed.item.message_id.as_str())
    .bind(claimed.item.num_edit)
    .bind(claimed.due_at)
    .bind(pass.due_at.map(Timestamp::to_datetime))
    .bind(pass.state.as_str())
    .bind(i32::from(pass.counted))
    .bind(sqlx::types::Json(pass.tried))
    .bind(pass.guesses.map(sqlx::types::Json))
    .bind(pass.gone)
    .bind(event)
    .bind(contact.map(ContactId::into_string))
    .bind(pass.author.map(|(author, _)| author.contact.as_str()))
    .bind(pass.author.map(|(author, _)| author.direction.as_str()))
    .bind(pass.author.map(|(_, method)| method.as_str()))
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the wait. The text of the webhook is erased, as nothing needs it any more.
pub(super) async fn resolved(
    conn: &mut PgConnection,
    claimed: &Claimed,
    method: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.waiting
            set state = 'resolved', method = $5, resolved_at = clock_timestamp(), due_at = null, text = null, guesses = null,
                claimed_by = null, claimed_until = null
          where channel = $1 and account_id = $2 and message_id = $3 and num_edit = $4",
    )
    .bind(claimed.item.channel.as_str())
    .bind(claimed.item.account_id.as_str())
    .bind(claimed.item.message_id.as_str())
    .bind(claimed.item.num_edit)
    .bind(method)
    .execute(conn)
    .await?;
    Ok(())
}

/// Schedules an item anew after a failure of our own (database, broker).
pub(super) async fn reschedule(
    pool: &PgPool,
    claimed: &Claimed,
    delay: Duration,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.waiting
            set claimed_by = null, claimed_until = null, due_at = clock_timestamp() + make_interval(secs => $5)
          where channel = $1 and account_id = $2 and message_id = $3 and num_edit = $4 and state <> 'resolved'",
    )
    .bind(claimed.item.channel.as_str())
    .bind(claimed.item.account_id.as_str())
    .bind(claimed.item.message_id.as_str())
    .bind(claimed.item.num_edit)
    .bind(delay.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives up all claims of `owner`, so that another worker need not wait for them to lapse.
pub(super) async fn release(pool: &PgPool, owner: &str) -> sqlx::Result<()> {
    sqlx::query("update worker.waiting set claimed_by = null, claimed_until = null where claimed_by = $1 and state <> 'resolved'")
        .bind(owner)
        .execute(pool)
        .await?;
    Ok(())
}

/// A resolution to store: input to replay.
pub(crate) struct Resolution<'a> {
    pub(crate) method: &'a str,
    pub(crate) author: &'a Author,
    pub(crate) evidence: &'a Value,
    pub(crate) event_id: &'a str,
    pub(crate) sealed: Vec<u8>,
}

/// Stores how a sender was found; a later one (content that was missing) replaces it.
pub(crate) async fn store_resolution(
    conn: &mut PgConnection,
    (channel, account, message): (Channel, &AccountId, &MessageId),
    resolution: Resolution<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.resolutions (channel, account_id, message_id, method, contact_id, direction, evidence, event_id, sealed)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (channel, account_id, message_id) do update
            set method = excluded.method, contact_id = excluded.contact_id, direction = excluded.direction,
                evidence = excluded.evidence, event_id = excluded.event_id, sealed = excluded.sealed, resolved_at = now()",
    )
    .bind(channel)
    .bind(account)
    .bind(message)
    .bind(resolution.method)
    .bind(resolution.author.contact.as_str())
    .bind(resolution.author.direction.as_str())
    .bind(sqlx::types::Json(resolution.evidence))
    .bind(resolution.event_id)
    .bind(resolution.sealed)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many items wait, by state.
pub(super) async fn counts(pool: &PgPool) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "select state, count(*) from worker.waiting where state <> 'resolved' group by state",
    )
    .fetch_all(pool)
    .await
}
