//! Statements over `worker.facts` and `worker.withdrawn`.

use std::collections::{BTreeSet, HashMap};

use schemas::facts::{FactWithdrawn, WithdrawReason};
use schemas::{AccountId, Channel, ContactId, EventId, Fact, MessageId, Timestamp, Via};
use sqlx::{FromRow, PgConnection, PgPool};

use crate::decide::{Known, Stored};
use crate::digest::Digest;
use crate::draft::{Draft, is_listed, message_of};
use crate::erased::{self, Erased};
use crate::error::FactError;
use crate::merge::Source;
use crate::published::Placed;
use crate::recorded::{Place, RecordedFact};

/// A published reading.
#[derive(FromRow)]
struct Reading {
    event_id: EventId,
    revision: i32,
    digest: Vec<u8>,
    rank: i16,
    time: Timestamp,
    time_approximate: bool,
    merged: bool,
    raw_seq: Option<i64>,
    raw_index: Option<i32>,
    era: i16,
    event_seq: i64,
}

impl From<Reading> for Stored {
    fn from(row: Reading) -> Self {
        let source = Source {
            era: row.era,
            raw_seq: row.raw_seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0),
            index: row.raw_index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0),
        };
        Self {
            revision: u32::try_from(row.revision).unwrap_or(0),
            digest: digest_of(&row.digest),
            rank: row.rank,
            time: row.time,
            time_approximate: row.time_approximate,
            // Only items of webhooks are sources.
            source: if row.rank == Via::Webhook.rank() { source } else { Source::default() },
            merged: row.merged,
            event_seq: u64::try_from(row.event_seq).unwrap_or(0),
        }
    }
}

#[derive(FromRow)]
struct ReadingDigest {
    event_id: String,
    revision: i32,
    digest: Vec<u8>,
}

/// What is stored about the facts of these drafts.
pub(super) async fn known(conn: &mut PgConnection, drafts: &[Draft]) -> Result<Known, FactError> {
    let mut known = Known::default();
    if drafts.is_empty() {
        return Ok(known);
    }
    let own = drafts.iter().map(|draft| draft.event.id.as_str());
    let named = drafts.iter().filter_map(|draft| match &draft.event.data.fact {
        Fact::FactWithdrawn(body) => Some(body.event_id.as_str()),
        _ => None,
    });
    let rules: Vec<EventId> =
        drafts.iter().flat_map(|draft| erased::rules_of(&draft.event)).collect();
    let rules = rules.iter().map(EventId::as_str);
    let ids: BTreeSet<&str> = own.clone().chain(named).chain(rules).collect();
    for row in withdrawn(conn, &ids.into_iter().collect::<Vec<_>>()).await? {
        if row.is_erased {
            known.erased.insert(row.event_id.clone(), row.erased_until);
        }
        known.withdrawn.insert(row.event_id);
    }
    let again: Vec<EventId> =
        drafts.iter().filter_map(|draft| known.erased.new_id(&draft.event)).collect();
    let ids: BTreeSet<&str> = own.chain(again.iter().map(EventId::as_str)).collect();
    let rows: Vec<Reading> = sqlx::query_as(
        "select event_id, revision, digest, rank, time, time_approximate, merged, raw_seq, raw_index, event_seq,
                (raw_era - (select worker.current_era('META_RAW')))::smallint as era
           from worker.facts where event_id = any($1)",
    )
    .bind(ids.into_iter().collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        known.facts.entry(row.event_id.clone()).or_default().push(row.into());
    }
    Ok(known)
}

/// An event that was withdrawn, or a rule about a person.
#[derive(FromRow)]
struct WithdrawnRow {
    event_id: EventId,
    is_erased: bool,
    erased_until: Option<Timestamp>,
}

async fn withdrawn(conn: &mut PgConnection, ids: &[&str]) -> sqlx::Result<Vec<WithdrawnRow>> {
    sqlx::query_as(
        "select event_id, reason = 'erased' as is_erased, erased_until from worker.withdrawn where event_id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// The rules among these ids.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn rules_among(conn: &mut PgConnection, ids: &[EventId]) -> sqlx::Result<Erased> {
    let mut erased = Erased::default();
    if ids.is_empty() {
        return Ok(erased);
    }
    let ids: Vec<&str> = ids.iter().map(EventId::as_str).collect();
    for row in withdrawn(conn, &ids).await?.into_iter().filter(|row| row.is_erased) {
        erased.insert(row.event_id, row.erased_until);
    }
    Ok(erased)
}

/// Whether a reading of this fact is recorded.
pub(super) async fn is_recorded(pool: &PgPool, id: &EventId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from worker.facts where event_id = $1) or exists (select from worker.withdrawn where event_id = $1)",
    )
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

#[derive(FromRow)]
struct RecordedRow {
    event_id: EventId,
    kind: String,
    channel: Channel,
    account_id: AccountId,
    contact_id: Option<ContactId>,
    message_id: Option<MessageId>,
    time: Timestamp,
    raw_seq: i64,
    raw_index: Option<i32>,
}

impl From<RecordedRow> for RecordedFact {
    fn from(row: RecordedRow) -> Self {
        Self {
            event_id: row.event_id,
            kind: row.kind,
            channel: row.channel,
            account_id: row.account_id,
            contact_id: row.contact_id,
            message_id: row.message_id,
            time: row.time,
            raw_seq: u64::try_from(row.raw_seq).unwrap_or(0),
            index: row.raw_index.and_then(|index| u32::try_from(index).ok()),
        }
    }
}

/// Facts whose first and only source is one of these raw webhooks, by position in the META_RAW that counts now: not withdrawn, and neither
/// Graph, a reply, nor another META_RAW gave them too.
pub(super) async fn given_by(pool: &PgPool, seqs: &[u64]) -> sqlx::Result<Vec<RecordedFact>> {
    let seqs: Vec<i64> = seqs.iter().filter_map(|seq| i64::try_from(*seq).ok()).collect();
    let rows: Vec<RecordedRow> = sqlx::query_as(
        "select distinct on (f.event_id) f.event_id, f.kind, f.channel, f.account_id, f.contact_id, f.message_id, f.time, f.raw_seq, f.raw_index
           from worker.facts f
          where f.raw_seq = any($1) and f.raw_era = (select worker.current_era('META_RAW'))
            and f.rank = 3 and f.kind not in ('contact.discovered', 'fact.withdrawn', 'sender.unresolved')
            and not exists (select from worker.withdrawn w where w.event_id = f.event_id)
            and not exists (select from worker.facts o where o.event_id = f.event_id and (o.rank < 3 or o.raw_era <> f.raw_era or o.raw_seq < f.raw_seq))
          order by f.event_id, f.revision desc",
    )
    .bind(seqs)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(RecordedFact::from).collect())
}

#[derive(FromRow)]
struct PlaceRow {
    event_id: EventId,
    event_seq: i64,
    revision: i32,
}

/// Where the newest reading of each event stands in INBOX_EVENTS, as far as it is in the one that counts now.
pub(super) async fn places(pool: &PgPool, ids: &[&str]) -> sqlx::Result<HashMap<EventId, Place>> {
    let rows: Vec<PlaceRow> = sqlx::query_as(
        "select event_id, event_seq, revision
           from (select distinct on (event_id) event_id, event_seq, event_era, revision from worker.facts
                  where event_id = any($1) order by event_id, revision desc) newest
          where event_era = (select worker.current_era('INBOX_EVENTS'))",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let place = |row: &PlaceRow| Place {
        event_seq: u64::try_from(row.event_seq).unwrap_or(0),
        revision: u32::try_from(row.revision).unwrap_or(0),
    };
    Ok(rows.into_iter().map(|row| (row.event_id.clone(), place(&row))).collect())
}

/// A digest of another length equals none.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
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
                                   time_approximate, raw_seq, raw_index, event_seq, raw_era, event_era, merged, silent, recorded_at)
         select t.event_id, t.revision, t.kind, t.channel, t.account_id, t.contact_id, t.message_id, t.digest, t.rank, t.time,
                t.approximate, t.raw_seq, t.raw_index, t.event_seq,
                coalesce(t.raw_era, (select worker.current_era('META_RAW'))),
                (select worker.current_era('INBOX_EVENTS')), t.merged, t.silent, coalesce(t.stored_at, now())
           from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                       $9::smallint[], $10::timestamptz[], $11::boolean[], $12::bigint[], $13::int[], $14::bigint[],
                       $15::boolean[], $16::boolean[], $17::smallint[], $18::timestamptz[])
                as t (event_id, revision, kind, channel, account_id, contact_id, message_id, digest, rank, time, approximate,
                      raw_seq, raw_index, event_seq, merged, silent, raw_era, stored_at)
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
    .bind(placed.iter().map(|one| one.planned.merged).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| is_silent(event(one))).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.source_era).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| one.stored_at).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == placed.len() as u64 { Ok(()) } else { compare(conn, &placed).await }
}

/// Whether nobody is asked for an automatic reply to this reading: it comes from an import, or another app owns the thread.
fn is_silent(event: &schemas::Event) -> bool {
    is_listed(event) || event.data.standby
}

/// Some revisions were there already: fine when they say the same.
async fn compare(conn: &mut PgConnection, placed: &[&Placed]) -> Result<(), FactError> {
    let rows: Vec<ReadingDigest> = sqlx::query_as(
        "select f.event_id, f.revision, f.digest from unnest($1::text[], $2::int[]) as k (event_id, revision)
          cross join lateral (select one.event_id, one.revision, one.digest from worker.facts one
                               where one.event_id = k.event_id and one.revision = k.revision offset 0) f",
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
    type Row<'a> = (&'a str, WithdrawReason, Option<&'a str>, Option<Timestamp>);
    let mut rows: Vec<Row<'_>> = placed
        .iter()
        .filter_map(|one| match &event(one).data.fact {
            Fact::FactWithdrawn(body) => {
                let heir = body.superseded_by.as_ref().map(EventId::as_str);
                Some((body.event_id.as_str(), body.reason, heir, body.erased_until))
            }
            _ => None,
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|(id, reason, heir, until)| (*id, reason.as_str(), *heir, *until));
    // What is erased was perhaps withdrawn before; a person may be erased again, up to a later time.
    sqlx::query(
        "insert into worker.withdrawn as known (event_id, reason, superseded_by, erased_until)
         select distinct on (t.event_id) t.event_id, t.reason, t.heir, t.until
           from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as t (event_id, reason, heir, until)
          order by t.event_id, t.reason = 'erased' desc, t.until desc nulls last, t.reason, t.heir
         on conflict (event_id) do update
            set reason = excluded.reason, superseded_by = null, erased_until = greatest(known.erased_until, excluded.erased_until)
          where excluded.reason = 'erased'",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes erasures that were published; returns those that were not known, or not up to then.
pub(crate) async fn put_erased(
    conn: &mut PgConnection,
    bodies: &[&FactWithdrawn],
) -> sqlx::Result<Vec<EventId>> {
    sqlx::query_scalar(
        "insert into worker.withdrawn as known (event_id, reason, erased_until)
         select t.event_id, 'erased', max(t.until) from unnest($1::text[], $2::timestamptz[]) as t (event_id, until)
          group by t.event_id order by t.event_id
         on conflict (event_id) do update
            set reason = 'erased', superseded_by = null, erased_until = greatest(known.erased_until, excluded.erased_until)
          where known.reason <> 'erased' or known.erased_until < excluded.erased_until
                or known.erased_until is null and excluded.erased_until is not null
         returning event_id",
    )
    .bind(bodies.iter().map(|body| body.event_id.as_str()).collect::<Vec<_>>())
    .bind(bodies.iter().map(|body| body.erased_until).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
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
pub(super) fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
