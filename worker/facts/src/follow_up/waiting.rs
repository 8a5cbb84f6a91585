//! The waiting room: table `worker.waiting`. Items come in, and events that reveal a sender wake them, in the transaction of the
//! shard that read them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use runtime::BoxFuture;
use runtime::notify;
use schemas::{AccountId, Channel, ContactId, Event, Fact, MessageId, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::senderless::Senderless;
use crate::{Direction, Draft};

/// Notified when an event revealed something: it is acted on at once, not at the next poll.
pub const CHANNEL: &str = "worker_resolve";

/// An event that names a message and whose conversation it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revealed {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account_id: AccountId,
    /// The message.
    pub message_id: MessageId,
    /// The person of its conversation.
    pub contact_id: ContactId,
    /// Who wrote it, where the event shows it: a reaction does not.
    pub direction: Option<Direction>,
    /// The thread inside an Instagram mid: wakes its other messages.
    pub thread_id: Option<String>,
    /// The event is the message itself, with its content (the twin): nothing is left to find.
    pub whole: bool,
}

impl Revealed {
    /// What an event reveals; `None` for events that name no message or no person.
    pub fn by(event: &Event) -> Option<Self> {
        let data = &event.data;
        let contact_id = data.contact_id.clone()?;
        let (message_id, direction, whole) = match &data.fact {
            Fact::MessageReceived(body) => {
                (&body.message_id, Some(Direction::Inbound), !missing(body))
            }
            Fact::MessageSent(body) => {
                (&body.message_id, Some(Direction::Outbound), !missing(body))
            }
            // Only people unsend (docs/meta-platform.md 6.1), but an echo's deletion looks the same: direction open.
            Fact::MessageDeleted(body) => (&body.message_id, None, false),
            Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => {
                (&body.message_id, None, false)
            }
            // A person reads, and gets, what the account wrote.
            Fact::MessageRead(body) | Fact::MessageDelivered(body) => {
                (body.message_id.as_ref()?, Some(Direction::Outbound), false)
            }
            _ => return None,
        };
        let thread_id = schemas::meta::mid::decode(message_id.as_str()).map(|mid| mid.thread_id);
        Some(Self {
            channel: data.channel,
            account_id: data.account_id.clone(),
            message_id: message_id.clone(),
            contact_id,
            direction,
            thread_id,
            whole,
        })
    }
}

fn missing(message: &schemas::facts::Message) -> bool {
    message.content_missing == Some(true)
}

/// Puts items into the waiting room, in the caller's transaction. They are looked at `grace` (`TWIN_GRACE`) after `now`; a real edit of
/// a known message at once. An item whose message is known already stays out; one that waits already only gains what it did not say.
/// `replay`: the job that brings them; what is published for them is a replayed event.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn admit(
    conn: &mut PgConnection,
    items: &[Senderless],
    now: Timestamp,
    grace: Duration,
    replay: Option<&str>,
) -> sqlx::Result<()> {
    // One row per key, or the statement would touch a row twice; in one order, so that two shards cannot wait for each other.
    let mut rows = BTreeMap::new();
    for item in items {
        let key = (
            item.channel.as_str(),
            item.account_id.as_str(),
            item.message_id.as_str(),
            item.num_edit,
        );
        rows.entry(key)
            .and_modify(|row: &mut &Senderless| *row = better(row, item))
            .or_insert(item);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<&Senderless> = rows.into_values().collect();
    let text = |get: fn(&Senderless) -> Option<&str>| {
        rows.iter().map(|row| get(row).map(str::to_owned)).collect::<Vec<_>>()
    };
    sqlx::query(
        "insert into worker.waiting as room
                (channel, account_id, message_id, num_edit, due_at, received_at, time, time_approximate, created_time, thread_id,
                 payload_contact, payload_outbound, standby, text, raw_seq, raw_index, traceparent, replay, raw_era)
         select i.channel, i.account_id, i.message_id, i.num_edit,
                case when m.message_id is null then $15::timestamptz else $16::timestamptz end,
                $16, i.time, i.approximate, i.created, i.thread_id, i.contact, i.outbound, i.standby, i.text, i.raw_seq, i.raw_index,
                i.traceparent, $18, (select worker.current_era('META_RAW'))
           from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::boolean[], $7::timestamptz[],
                       $8::text[], $9::text[], $10::boolean[], $11::boolean[], $12::text[], $13::bigint[], $14::int[], $17::text[])
                as i (channel, account_id, message_id, num_edit, time, approximate, created, thread_id, contact, outbound, standby,
                      text, raw_seq, raw_index, traceparent)
           left join worker.messages m
             on m.channel = i.channel and m.account_id = i.account_id and m.message_id = i.message_id
          where m.message_id is null or i.num_edit > 0
         on conflict (channel, account_id, message_id, num_edit) do update
            set due_at = case when room.state = 'unresolved' and room.payload_contact is null and excluded.payload_contact is not null
                              then excluded.received_at else room.due_at end,
                payload_contact = coalesce(room.payload_contact, excluded.payload_contact),
                payload_outbound = room.payload_outbound or excluded.payload_outbound,
                text = coalesce(room.text, excluded.text)
          where room.state <> 'resolved'",
    )
    .bind(text(|row| Some(row.channel.as_str())))
    .bind(text(|row| Some(row.account_id.as_str())))
    .bind(text(|row| Some(row.message_id.as_str())))
    .bind(rows.iter().map(|row| row.num_edit).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.time.to_datetime()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.time_approximate).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_at.map(Timestamp::to_datetime)).collect::<Vec<_>>())
    .bind(text(|row| row.thread_id.as_deref()))
    .bind(text(|row| row.sender.as_ref().map(ContactId::as_str)))
    .bind(rows.iter().map(|row| row.outbound).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.standby).collect::<Vec<_>>())
    .bind(text(|row| row.text.as_deref()))
    .bind(rows.iter().map(|row| row.origin.raw_stream_sequence.and_then(|seq| i64::try_from(seq).ok())).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.origin.index.and_then(|index| i32::try_from(index).ok())).collect::<Vec<_>>())
    .bind(now.plus(grace).to_datetime())
    .bind(now.to_datetime())
    .bind(text(|row| row.traceparent.as_deref()))
    .bind(replay)
    .execute(&mut *conn)
    .await?;
    metrics::counter!("hookline_resolve_admitted_total").increment(rows.len() as u64);
    reveal_to_siblings(conn, &rows).await?;
    // Edits of known messages, and items whose sender has just been named, are due at once.
    if rows.iter().any(|row| row.num_edit > 0 || row.sender.is_some()) {
        notify::notify(conn, CHANNEL).await?;
    }
    Ok(())
}

/// Passes the author that an item names to the other items of the same message, which waited without.
async fn reveal_to_siblings(conn: &mut PgConnection, rows: &[&Senderless]) -> sqlx::Result<()> {
    let rows: Vec<(&Senderless, &ContactId)> =
        rows.iter().filter_map(|row| Some((*row, row.sender.as_ref()?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let direction = |row: &Senderless| {
        if row.outbound { Direction::Outbound.as_str() } else { Direction::Inbound.as_str() }
    };
    sqlx::query(
        "with revealed as (
             select distinct on (channel, account_id, message_id) *
               from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
                    as t (channel, account_id, message_id, num_edit, contact_id, direction)
         ), locked as (
             select w.channel, w.account_id, w.message_id, w.num_edit, t.contact_id, t.direction
               from worker.waiting w join revealed t using (channel, account_id, message_id)
              where w.num_edit <> t.num_edit and w.state <> 'resolved' and w.payload_contact is null
              order by w.channel, w.account_id, w.message_id, w.num_edit
                for update of w
         )
         update worker.waiting w
            set revealed_contact = coalesce(w.revealed_contact, l.contact_id),
                revealed_direction = coalesce(w.revealed_direction, l.direction),
                -- Before the grace is over nothing is published. Later the time changes, which whoever works on the item notices.
                due_at = case when w.state = 'waiting' and clock_timestamp() < w.due_at then w.due_at else clock_timestamp() end
           from locked l
          where (w.channel, w.account_id, w.message_id, w.num_edit) = (l.channel, l.account_id, l.message_id, l.num_edit)",
    )
    .bind(rows.iter().map(|(row, _)| row.channel.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(row, _)| row.account_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(row, _)| row.message_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(row, _)| row.num_edit).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, contact)| contact.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(row, _)| direction(row)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A message by channel, canonical account and mid.
pub type MessageKey = (Channel, AccountId, MessageId);

/// Of real edits (drafts with an editor): the messages whose edits need not wait, because the message is known or the edit was published.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn known_edits(pool: &PgPool, drafts: &[Draft]) -> sqlx::Result<HashSet<MessageKey>> {
    let mut keys = Vec::new();
    for draft in drafts.iter().filter(|draft| draft.editor.is_some()) {
        if let Fact::MessageEdited(edit) = &draft.event.data.fact {
            let data = &draft.event.data;
            let key = (data.channel, data.account_id.clone(), edit.message_id.clone());
            keys.push((key, draft.event.id.as_str()));
        }
    }
    let known: Vec<i64> = sqlx::query_scalar(
        "select e.n
           from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality
                as e (channel, account_id, message_id, event_id, n)
          where exists (select 1 from worker.messages m
                         where (m.channel, m.account_id, m.message_id) = (e.channel, e.account_id, e.message_id))
             or exists (select 1 from worker.facts f where f.event_id = e.event_id)",
    )
    .bind(keys.iter().map(|(key, _)| key.0.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(key, _)| key.1.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(key, _)| key.2.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, event)| *event).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let numbers = known.into_iter().filter_map(|n| usize::try_from(n - 1).ok());
    Ok(numbers.filter_map(|n| keys.get(n)).map(|(key, _)| key.clone()).collect())
}

/// Of two reports of one item, the one that names a person.
const fn better<'a>(one: &'a Senderless, other: &'a Senderless) -> &'a Senderless {
    if one.sender.is_none() && other.sender.is_some() { other } else { one }
}

/// Brings what events revealed into the waiting room, in the caller's transaction: an item whose twin came is done, others that name the
/// message or share its thread are due at once.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub fn reveal<'a>(
    conn: &'a mut PgConnection,
    revealed: &'a [Revealed],
) -> BoxFuture<'a, sqlx::Result<()>> {
    Box::pin(async move {
        let mut rows = BTreeMap::new();
        for one in revealed {
            let key = (one.channel.as_str(), one.account_id.as_str(), one.message_id.as_str());
            rows.entry(key)
                .and_modify(|row: &mut &Revealed| {
                    if (row.whole, row.direction.is_some()) < (one.whole, one.direction.is_some()) {
                        *row = one;
                    }
                })
                .or_insert(one);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<&Revealed> = rows.into_values().collect();
        let text = |get: fn(&Revealed) -> Option<&str>| {
            rows.iter().map(|row| get(row).map(str::to_owned)).collect::<Vec<_>>()
        };
        // Rows are locked in one order first, so that two shards and a resolver cannot wait for each other in a circle.
        let woken = sqlx::query(
        "with revealed as (
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])
                        as t (channel, account_id, message_id, contact_id, direction, whole)
         ), locked as (
             select w.channel, w.account_id, w.message_id, w.num_edit, t.contact_id, t.direction,
                    -- The twin came, and of this item nothing else was published or is left to be: nothing remains to say.
                    t.whole and (w.state = 'content' or (w.state = 'waiting' and w.num_edit = 0)) as done
               from worker.waiting w join revealed t using (channel, account_id, message_id)
              where w.state <> 'resolved'
              order by w.channel, w.account_id, w.message_id, w.num_edit
                for update of w
         )
         update worker.waiting w
            set revealed_contact = coalesce(l.contact_id, w.revealed_contact),
                revealed_direction = coalesce(l.direction, w.revealed_direction),
                state = case when l.done then 'resolved' else w.state end,
                method = case when l.done then 'twin' else w.method end,
                text = case when l.done then null else w.text end,
                resolved_at = case when l.done then clock_timestamp() else w.resolved_at end,
                due_at = case when l.done then null
                              -- Nothing is published before the grace is over. Later the time changes: whoever works on it notices.
                              when w.state = 'waiting' and w.num_edit = 0 and clock_timestamp() < w.due_at then w.due_at
                              else clock_timestamp() end
           from locked l
          where (w.channel, w.account_id, w.message_id, w.num_edit) = (l.channel, l.account_id, l.message_id, l.num_edit)",
    )
    .bind(text(|row| Some(row.channel.as_str())))
    .bind(text(|row| Some(row.account_id.as_str())))
    .bind(text(|row| Some(row.message_id.as_str())))
    .bind(text(|row| Some(row.contact_id.as_str())))
    .bind(text(|row| row.direction.map(Direction::as_str)))
    .bind(rows.iter().map(|row| row.whole).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?
    .rows_affected();
        if wake_threads(conn, &rows).await? + woken > 0 {
            notify::notify(conn, CHANNEL).await?;
        }
        Ok(())
    })
}

/// Messages of a thread whose person is known now can be placed; those that wait for their twin still wait for it.
async fn wake_threads(conn: &mut PgConnection, rows: &[&Revealed]) -> sqlx::Result<u64> {
    let mut threads: Vec<(&str, &str, &str)> = rows
        .iter()
        .filter_map(|row| {
            Some((row.channel.as_str(), row.account_id.as_str(), row.thread_id.as_deref()?))
        })
        .collect();
    threads.sort_unstable();
    threads.dedup();
    if threads.is_empty() {
        return Ok(0);
    }
    let woken = sqlx::query(
        "with locked as (
             select w.channel, w.account_id, w.message_id, w.num_edit
               from worker.waiting w
               join unnest($1::text[], $2::text[], $3::text[]) as t (channel, account_id, thread_id)
                 using (channel, account_id, thread_id)
              where w.state = 'unresolved' and w.unresolved_contact is null
              order by w.channel, w.account_id, w.message_id, w.num_edit
                for update of w
         )
         update worker.waiting w set due_at = clock_timestamp()
           from locked l
          where (w.channel, w.account_id, w.message_id, w.num_edit) = (l.channel, l.account_id, l.message_id, l.num_edit)",
    )
    .bind(threads.iter().map(|thread| thread.0).collect::<Vec<_>>())
    .bind(threads.iter().map(|thread| thread.1).collect::<Vec<_>>())
    .bind(threads.iter().map(|thread| thread.2).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(woken.rows_affected())
}

/// Makes what waits for an account's token due at once.
pub(crate) async fn retry_account(
    conn: &mut PgConnection,
    channel: Channel,
    account: &AccountId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.waiting set due_at = least(due_at, clock_timestamp())
          where channel = $1 and account_id = $2 and state in ('unresolved', 'content') and due_at is not null",
    )
    .bind(channel)
    .bind(account)
    .execute(conn)
    .await
    .map(|_| ())
}

/// What a sealed resolution of a message is bound to.
pub fn resolution_context(channel: Channel, account: &AccountId, message: &MessageId) -> String {
    format!("resolution/{channel}/{account}/{message}")
}
