//! Claims on `worker.waiting` and what is written back, so that any number of workers share the room.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::facts::TriedMethod;
use schemas::{AccountId, ContactId, MessageId, Timestamp};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

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
    let rows = sqlx::query(
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
         returning w.*,
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
    rows.iter().map(read).collect()
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

fn read(row: &PgRow) -> sqlx::Result<Claimed> {
    let decode = |error: String| sqlx::Error::Decode(error.into());
    let channel: String = row.try_get("channel")?;
    let time = |name: &str| {
        row.try_get::<Option<DateTime<Utc>>, _>(name).map(|time| time.map(Timestamp::from))
    };
    let contact =
        |name: &str| row.try_get::<Option<String>, _>(name).map(|id| id.map(ContactId::new));
    let direction: Option<String> = row.try_get("revealed_direction")?;
    let state = match row.try_get::<String, _>("state")?.as_str() {
        "unresolved" => State::Unresolved,
        "content" => State::Content,
        _ => State::Waiting,
    };
    let method: Option<String> = row.try_get("method")?;
    let unresolved: Option<String> = row.try_get("unresolved_event")?;
    let sibling: Option<bool> = row.try_get("sibling_unresolved")?;
    let item = Item {
        channel: channel
            .parse()
            .map_err(|error: schemas::UnknownChannel| decode(error.to_string()))?,
        account_id: AccountId::new(row.try_get::<String, _>("account_id")?),
        message_id: MessageId::new(row.try_get::<String, _>("message_id")?),
        num_edit: row.try_get("num_edit")?,
        state,
        attempts: u32::try_from(row.try_get::<i32, _>("attempts")?).unwrap_or(0),
        received_at: Timestamp::from(row.try_get::<DateTime<Utc>, _>("received_at")?),
        time: Timestamp::from(row.try_get::<DateTime<Utc>, _>("time")?),
        time_approximate: row.try_get("time_approximate")?,
        created_time: time("created_time")?,
        thread_id: row.try_get("thread_id")?,
        payload_contact: contact("payload_contact")?,
        payload_outbound: row.try_get("payload_outbound")?,
        standby: row.try_get("standby")?,
        text: row.try_get("text")?,
        raw_seq: row.try_get::<Option<i64>, _>("raw_seq")?.and_then(|seq| u64::try_from(seq).ok()),
        raw_index: row
            .try_get::<Option<i32>, _>("raw_index")?
            .and_then(|index| u32::try_from(index).ok()),
        traceparent: row.try_get("traceparent")?,
        revealed_contact: contact("revealed_contact")?,
        revealed_direction: direction.as_deref().map(direction_of),
        settled_by: method.as_deref().and_then(Method::parse),
        unresolved: unresolved.is_some() || sibling.unwrap_or(false),
        unresolved_contact: contact("unresolved_contact")?,
        gone: row.try_get("gone")?,
    };
    Ok(Claimed { item, due_at: row.try_get("due_at")?, replay: row.try_get("replay")? })
}

/// The author of a message by our own index.
pub(super) async fn known(pool: &PgPool, item: &Item) -> sqlx::Result<Option<Author>> {
    let row = sqlx::query(
        "select contact_id, direction from worker.messages where channel = $1 and account_id = $2 and message_id = $3",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(item.message_id.as_str())
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let outbound = row.try_get::<String, _>("direction")? == Direction::Outbound.as_str();
        let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
        Ok(Author { contact: ContactId::new(row.try_get::<String, _>("contact_id")?), direction })
    })
    .transpose()
}

/// What events and items that came before this one say about its message: later ones tell the waiting room themselves.
pub(super) async fn told_before(pool: &PgPool, mut claimed: Claimed) -> sqlx::Result<Claimed> {
    let item = &claimed.item;
    if item.payload_contact.is_some() || item.revealed_direction.is_some() {
        return Ok(claimed);
    }
    // Of several, one that tells the direction: another item that names its author, or a receipt of what the account wrote.
    let row = sqlx::query(
        "select contact_id, direction from (
             select payload_contact as contact_id, case when payload_outbound then 'outbound' else 'inbound' end as direction
               from worker.waiting
              where channel = $1 and account_id = $2 and message_id = $3 and num_edit <> $4 and payload_contact is not null
             union all
             select contact_id, case when kind in ('message.read', 'message.delivered') then 'outbound' end
               from worker.facts
              where channel = $1 and account_id = $2 and message_id = $3 and contact_id is not null
                and kind in ('message.read', 'message.delivered', 'message.deleted', 'message.reacted', 'message.unreacted')
         ) told order by direction is null limit 1",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(item.message_id.as_str())
    .bind(item.num_edit)
    .fetch_optional(pool)
    .await?;
    if let Some(row) = row {
        let direction: Option<String> = row.try_get("direction")?;
        claimed.item.revealed_direction = direction.as_deref().map(direction_of);
        if direction.is_some() || claimed.item.revealed_contact.is_none() {
            claimed.item.revealed_contact =
                Some(ContactId::new(row.try_get::<String, _>("contact_id")?));
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
    let people: Vec<String> = sqlx::query_scalar(
        "select distinct contact_id from worker.messages
          where channel = $1 and account_id = $2 and thread_id = $3 order by contact_id limit 2",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(thread)
    .fetch_all(pool)
    .await?;
    Ok(people.into_iter().map(ContactId::new).collect())
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

/// Lets go of an item that goes on waiting. What an event revealed meanwhile counts: the item is due at once then.
pub(super) async fn wait(
    conn: &mut PgConnection,
    claimed: &Claimed,
    pass: &Pass<'_>,
) -> sqlx::Result<()> {
    let state = match pass.state {
        State::Waiting => "waiting",
        State::Unresolved => "unresolved",
        State::Content => "content",
    };
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
    .bind(state)
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

/// Ends the wait. The words a webhook said are no longer needed and go.
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

/// Puts an item off after a failure of our own (database, broker).
pub(super) async fn put_off(pool: &PgPool, claimed: &Claimed, delay: Duration) -> sqlx::Result<()> {
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

/// Lets go of everything `owner` holds, so that another worker need not wait for the claims to lapse.
pub(super) async fn release(pool: &PgPool, owner: &str) -> sqlx::Result<()> {
    sqlx::query("update worker.waiting set claimed_by = null, claimed_until = null where claimed_by = $1 and state <> 'resolved'")
        .bind(owner)
        .execute(pool)
        .await?;
    Ok(())
}

/// A resolution to store: input to replay.
pub(super) struct Resolution<'a> {
    pub(super) method: &'a str,
    pub(super) author: &'a Author,
    pub(super) evidence: &'a Value,
    pub(super) event_id: &'a str,
    pub(super) sealed: Vec<u8>,
}

/// Stores how a sender was found; a later one (content that was missing) replaces it.
pub(super) async fn store_resolution(
    conn: &mut PgConnection,
    item: &Item,
    resolution: Resolution<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.resolutions (channel, account_id, message_id, method, contact_id, direction, evidence, event_id, sealed)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (channel, account_id, message_id) do update
            set method = excluded.method, contact_id = excluded.contact_id, direction = excluded.direction,
                evidence = excluded.evidence, event_id = excluded.event_id, sealed = excluded.sealed, resolved_at = now()",
    )
    .bind(item.channel.as_str())
    .bind(item.account_id.as_str())
    .bind(item.message_id.as_str())
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
