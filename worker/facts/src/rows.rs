//! The tables behind the facts: `worker.facts`, `worker.withdrawn`, `worker.messages`, `worker.secrets`.

use std::collections::HashMap;

use schemas::facts::WithdrawReason;
use schemas::{Channel, EventId, Fact, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};

use crate::decide::{Known, Stored};
use crate::digest::Digest;
use crate::draft::{Direction, Draft, MessageFact, message_of};
use crate::error::FactError;
use crate::published::Placed;
use crate::seal::Seal;

/// A published reading.
#[derive(FromRow)]
struct Reading {
    event_id: EventId,
    revision: i32,
    digest: Vec<u8>,
    rank: i16,
    time: Timestamp,
    time_approximate: bool,
}

#[derive(FromRow)]
struct ReadingDigest {
    event_id: String,
    revision: i32,
    digest: Vec<u8>,
}

/// What is stored about the facts of these drafts.
pub(super) async fn known(conn: &mut PgConnection, drafts: &[Draft]) -> Result<Known, FactError> {
    let mut ids: Vec<&str> = drafts.iter().map(|draft| draft.event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut known = Known::default();
    if ids.is_empty() {
        return Ok(known);
    }
    let rows: Vec<Reading> = sqlx::query_as(
        "select event_id, revision, digest, rank, time, time_approximate from worker.facts where event_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        known.facts.entry(row.event_id).or_default().push(Stored {
            revision: u32::try_from(row.revision).unwrap_or(0),
            digest: digest_of(&row.digest),
            rank: row.rank,
            time: row.time,
            time_approximate: row.time_approximate,
        });
    }
    ids.extend(drafts.iter().filter_map(|draft| match &draft.event.data.fact {
        Fact::FactWithdrawn(body) => Some(body.event_id.as_str()),
        _ => None,
    }));
    let withdrawn: Vec<EventId> =
        sqlx::query_scalar("select event_id from worker.withdrawn where event_id = any($1)")
            .bind(&ids)
            .fetch_all(&mut *conn)
            .await?;
    known.withdrawn.extend(withdrawn);
    Ok(known)
}

/// Whether a reading of this fact is recorded.
pub(super) async fn is_recorded(pool: &PgPool, id: &EventId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from worker.facts where event_id = $1)")
        .bind(id)
        .fetch_one(pool)
        .await
}

/// The first of these ids that has events as an account of its own. What came for it before it was an account or an alias is
/// `webhook.unrecognized`, which does not count.
pub(crate) async fn account_with_events(
    conn: &mut PgConnection,
    channel: Channel,
    ids: &[&String],
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select t.alias from unnest($2::text[]) as t (alias)
          where exists (select 1 from worker.facts f
                         where f.channel = $1 and f.account_id = t.alias
                           and f.kind not in ('webhook.unrecognized', 'webhook.test'))
          limit 1",
    )
    .bind(channel)
    .bind(ids)
    .fetch_optional(conn)
    .await
}

/// A digest of another length equals none.
fn digest_of(bytes: &[u8]) -> Digest {
    bytes.try_into().unwrap_or([0; 32])
}

/// Rows are written in one order everywhere, so that two transactions cannot wait for each other.
pub(super) async fn record_facts(
    conn: &mut PgConnection,
    placed: &[Placed],
) -> Result<(), FactError> {
    if placed.is_empty() {
        return Ok(());
    }
    let mut placed: Vec<&Placed> = placed.iter().collect();
    placed.sort_by(|a, b| key(a).cmp(&key(b)));
    let column =
        |get: fn(&Placed) -> Option<String>| placed.iter().map(|one| get(one)).collect::<Vec<_>>();
    let inserted = sqlx::query(
        "insert into worker.facts (event_id, revision, kind, channel, account_id, contact_id, message_id, digest, rank, time,
                                   time_approximate, raw_seq, raw_index, event_seq)
         select * from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                              $9::smallint[], $10::timestamptz[], $11::boolean[], $12::bigint[], $13::int[], $14::bigint[])
         on conflict (event_id, revision) do nothing",
    )
    .bind(column(|one| Some(event(one).id.to_string())))
    .bind(placed.iter().map(|one| revision(one)).collect::<Vec<_>>())
    .bind(column(|one| Some(event(one).kind().as_str().to_owned())))
    .bind(column(|one| Some(event(one).data.channel.as_str().to_owned())))
    .bind(column(|one| Some(event(one).data.account_id.to_string())))
    .bind(column(|one| event(one).data.contact_id.as_ref().map(ToString::to_string)))
    .bind(column(|one| message_of(&event(one).data.fact).map(str::to_owned)))
    .bind(placed.iter().map(|one| one.planned.digest.to_vec()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.via.rank()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).time.to_datetime()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.time_approximate).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.raw_stream_sequence.map(number)).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.index.and_then(|n| i32::try_from(n).ok())).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| number(one.event_seq)).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == placed.len() as u64 { Ok(()) } else { compare(conn, &placed).await }
}

/// Some revisions were there already: fine when they say the same.
async fn compare(conn: &mut PgConnection, placed: &[&Placed]) -> Result<(), FactError> {
    let rows: Vec<ReadingDigest> = sqlx::query_as(
        "select f.event_id, f.revision, f.digest from worker.facts f
         join unnest($1::text[], $2::int[]) as k (event_id, revision) using (event_id, revision)",
    )
    .bind(placed.iter().map(|one| event(one).id.to_string()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| revision(one)).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let stored: HashMap<(String, i32), Digest> = rows
        .into_iter()
        .map(|row| ((row.event_id, row.revision), digest_of(&row.digest)))
        .collect();
    for one in placed {
        let id = &event(one).id;
        if stored.get(&(id.to_string(), revision(one))) != Some(&one.planned.digest) {
            return Err(FactError::Conflict { event_id: id.clone() });
        }
    }
    Ok(())
}

/// Remembers what must not return.
pub(super) async fn record_withdrawals(
    conn: &mut PgConnection,
    placed: &[Placed],
) -> Result<(), FactError> {
    let mut rows: Vec<(&str, WithdrawReason, Option<&str>)> = placed
        .iter()
        .filter_map(|one| match &event(one).data.fact {
            Fact::FactWithdrawn(body) => {
                let heir = body.superseded_by.as_ref().map(EventId::as_str);
                Some((body.event_id.as_str(), body.reason, heir))
            }
            _ => None,
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|(id, reason, heir)| (*id, reason.as_str(), *heir));
    sqlx::query(
        "insert into worker.withdrawn (event_id, reason, superseded_by)
         select * from unnest($1::text[], $2::text[], $3::text[])
         on conflict (event_id) do nothing",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

struct MessageRow<'a> {
    draft: &'a Draft,
    message: &'a MessageFact,
    contact: &'a str,
}

fn message_rows<'a>(drafts: impl Iterator<Item = &'a Draft>) -> Vec<MessageRow<'a>> {
    let mut rows = Vec::new();
    for draft in drafts {
        let Some(contact) = draft.event.data.contact_id.as_ref() else { continue };
        rows.extend(draft.messages.iter().map(|message| MessageRow {
            draft,
            message,
            contact: contact.as_str(),
        }));
    }
    // One row per message, or the statement would touch a row twice; the last reading wins.
    rows.sort_by(|a, b| row_key(a).cmp(&row_key(b)));
    let mut last = Vec::<MessageRow<'a>>::with_capacity(rows.len());
    for row in rows {
        match last.last_mut() {
            Some(before) if row_key(before) == row_key(&row) => *before = row,
            _ => last.push(row),
        }
    }
    last
}

fn row_key<'a>(row: &MessageRow<'a>) -> (&'static str, &'a str, &'a str) {
    let data = &row.draft.event.data;
    (data.channel.as_str(), data.account_id.as_str(), row.message.message_id.as_str())
}

/// One array per column of `worker.messages`.
#[derive(Default)]
struct MessageColumns<'a> {
    channels: Vec<Channel>,
    accounts: Vec<&'a str>,
    messages: Vec<&'a str>,
    contacts: Vec<&'a str>,
    directions: Vec<Direction>,
    threads: Vec<Option<&'a str>>,
    times: Vec<Timestamp>,
}

impl<'a> MessageColumns<'a> {
    fn of(rows: &[MessageRow<'a>]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            let data = &row.draft.event.data;
            columns.channels.push(data.channel);
            columns.accounts.push(data.account_id.as_str());
            columns.messages.push(row.message.message_id.as_str());
            columns.contacts.push(row.contact);
            columns.directions.push(row.message.direction);
            columns.threads.push(row.message.thread_id.as_deref());
            columns.times.push(row.draft.event.time);
        }
        columns
    }
}

/// The index of messages: a published reading replaces what was there, a known one only fills a gap.
pub(super) async fn record_messages(
    conn: &mut PgConnection,
    placed: &[Placed],
    known: &[Draft],
) -> Result<(), FactError> {
    let known = MessageColumns::of(&message_rows(known.iter()));
    if !known.channels.is_empty() {
        sqlx::query(
            "insert into worker.messages (channel, account_id, message_id, contact_id, direction, thread_id, time)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
             on conflict (channel, account_id, message_id) do nothing",
        )
        .bind(known.channels)
        .bind(known.accounts)
        .bind(known.messages)
        .bind(known.contacts)
        .bind(known.directions)
        .bind(known.threads)
        .bind(known.times)
        .execute(&mut *conn)
        .await?;
    }
    let published = MessageColumns::of(&message_rows(placed.iter().map(|one| &one.planned.draft)));
    if !published.channels.is_empty() {
        sqlx::query(
            "insert into worker.messages (channel, account_id, message_id, contact_id, direction, thread_id, time)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
             on conflict (channel, account_id, message_id) do update
             set contact_id = excluded.contact_id, direction = excluded.direction, time = excluded.time,
                 thread_id = coalesce(excluded.thread_id, messages.thread_id)",
        )
        .bind(published.channels)
        .bind(published.accounts)
        .bind(published.messages)
        .bind(published.contacts)
        .bind(published.directions)
        .bind(published.threads)
        .bind(published.times)
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Seals what must not be published.
pub(super) async fn record_secrets(
    conn: &mut PgConnection,
    seal: &Seal,
    placed: &[Placed],
    known: &[Draft],
) -> Result<(), FactError> {
    for draft in placed.iter().map(|one| &one.planned.draft).chain(known) {
        for secret in &draft.secrets {
            let id = draft.event.id.as_str();
            let sealed = seal.seal(&context(id, secret.name), &secret.value)?;
            sqlx::query(
                "insert into worker.secrets (event_id, name, sealed) values ($1, $2, $3) on conflict (event_id, name) do nothing",
            )
            .bind(id)
            .bind(secret.name)
            .bind(sealed)
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}

/// What a sealed webhook secret is bound to.
pub(super) fn context(event_id: &str, name: &str) -> String {
    format!("webhook-secret/{event_id}/{name}")
}

fn event(placed: &Placed) -> &schemas::Event {
    &placed.planned.draft.event
}

fn key(placed: &Placed) -> (&str, u32) {
    (event(placed).id.as_str(), event(placed).revision())
}

fn revision(placed: &Placed) -> i32 {
    i32::try_from(event(placed).revision()).unwrap_or(i32::MAX)
}

/// A position of a stream as a `bigint`; none comes near its end.
fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
