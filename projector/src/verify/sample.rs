//! Some conversations, chosen at random, half of them among the rows and half among the events: a conversation whose rows were lost is in
//! the stream only. Their rows are copied from one snapshot, the events that made them are found by the broker's index of subjects and by
//! `worker.facts`, and folded anew.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runtime::follow::Follower;
use schemas::subjects::{self, Route};
use schemas::{AccountId, Channel, Kind};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::{Scratch, Verified};
use crate::fold::Arrival;
use crate::follow::NAME;
use crate::read::{Incoming, read};
use crate::rebuild::build::Builder;
use crate::rebuild::compare::Reader;
use crate::rebuild::live::{Live, event_at, holds_between};
use crate::rebuild::{Pace, Place, RebuildError, Show};
use crate::store;

/// Events folded at once.
const BATCH_MAX: usize = 1000;
/// How many events are read for each conversation that is looked for in the stream: many are of the same one, some are of nobody.
const READS: usize = 10;
/// How many positions are drawn for each: those that the log does not hold any more, or not yet, cost nothing.
const DRAWS: usize = 10_000;

/// What was chosen.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// How many conversations.
    pub conversations: usize,
    /// Chooses the same ones again.
    pub seed: i64,
}

#[derive(sqlx::FromRow)]
struct Chosen {
    id: String,
    channel: String,
    account_id: String,
    contact_id: String,
}

/// Folds the events of `count` conversations and compares their rows.
///
/// # Errors
/// See [`RebuildError`].
pub async fn sample(
    place: &Place,
    count: u32,
    seed: i64,
    stop: CancellationToken,
    show: Show<'_>,
) -> Result<Verified, RebuildError> {
    let mut pace = Pace::new(None, place.pool.clone(), stop, show);
    let (is, should) = (Scratch::make(&place.pool).await?, Scratch::make(&place.pool).await?);
    let verified = compare(place, count, seed, &is.schema, &should.schema, &mut pace).await;
    let gone = (is.gone().await, should.gone().await);
    let verified = verified?;
    gone.0?;
    gone.1?;
    Ok(verified)
}

async fn compare(
    place: &Place,
    count: u32,
    seed: i64,
    is: &str,
    should: &str,
    pace: &mut Pace<'_>,
) -> Result<Verified, RebuildError> {
    let live = Live::find(place).await?;
    store::migrate(&place.pool, is, &CancellationToken::new()).await?;
    let mut builder = Builder::open(place, should).await?;
    let chosen = choose(place, &live, count, seed, pace).await?;
    let ids: Vec<String> = chosen.iter().map(|one| one.id.clone()).collect();
    let position = copy(&place.pool, &live, is, &ids).await?;
    let mut told = BTreeSet::new();
    for filter in filters(&chosen) {
        follow(place, &mut builder, &filter, position, &mut told, pace).await?;
    }
    others(place, &mut builder, is, should, position, &mut told, pace).await?;
    confine(&place.pool, is, should, &ids).await?;
    let reader = Reader::open(&place.pool).await?;
    let comparison = pace.during("comparing", reader.compare(is, should)).await?;
    let sample = Some(Sample { conversations: ids.len(), seed });
    Ok(Verified { schema: live.schema, position, sample, comparison })
}

/// Half of the conversations among those of the stream, the others among the rows.
async fn choose(
    place: &Place,
    live: &Live,
    count: u32,
    seed: i64,
    pace: &mut Pace<'_>,
) -> Result<Vec<Chosen>, RebuildError> {
    let half = usize::try_from(count / 2).unwrap_or(0);
    let mut chosen = from_stream(place, live, half, seed, pace).await?;
    let choose = format!(
        "select id, channel, account_id, contact_id from {}.conversations
          where id <> all($1) order by hashtextextended(id, $2), id limit $3",
        live.schema
    );
    let ids: Vec<&str> = chosen.iter().map(|one| one.id.as_str()).collect();
    let rows: Vec<Chosen> = sqlx::query_as(AssertSqlSafe(choose))
        .bind(ids)
        .bind(seed)
        .bind(i64::from(count) - i64::try_from(chosen.len()).unwrap_or(0))
        .fetch_all(&place.pool)
        .await?;
    chosen.extend(rows);
    Ok(chosen)
}

/// Conversations that events at random positions speak of. A position is drawn from a power of two, so that the same seed finds the same ones
/// after the log has grown a little.
async fn from_stream(
    place: &Place,
    live: &Live,
    count: usize,
    seed: i64,
    pace: &mut Pace<'_>,
) -> Result<Vec<Chosen>, RebuildError> {
    let (first, last) = (live.log().await?.0.max(1), live.position().await?);
    if last < first {
        return Ok(Vec::new());
    }
    let bound = last.saturating_add(1).next_power_of_two();
    let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let mut random = StdRng::seed_from_u64(seed.cast_unsigned());
    let (mut seen, mut found) = (BTreeSet::new(), BTreeMap::new());
    for _ in 0..count.saturating_mul(DRAWS) {
        if found.len() >= count || seen.len() >= span.min(count.saturating_mul(READS)) {
            break;
        }
        let seq = random.random_range(0..bound);
        if !(first..=last).contains(&seq) || !seen.insert(seq) {
            continue;
        }
        pace.beat("choosing a sample").await?;
        let Some(incoming) = event_at(&place.broker, seq).await? else { continue };
        let Ok((Arrival::Fact { pieces, .. }, _)) = incoming.outcome else { continue };
        for said in pieces.iter().filter_map(|piece| piece.said.as_ref()) {
            if let (Some(id), Some(contact)) = (said.conversation_id(), &said.contact_id) {
                let one = Chosen {
                    id: id.to_string(),
                    channel: said.channel.as_str().to_owned(),
                    account_id: said.account_id.to_string(),
                    contact_id: contact.to_string(),
                };
                found.insert(one.id.clone(), one);
            }
        }
    }
    Ok(found.into_values().take(count).collect())
}

/// Copies the rows of the chosen conversations as they are at one position, and tells which. A snapshot has rows and position of the same
/// commit, and keeps no projector waiting.
async fn copy(pool: &PgPool, live: &Live, is: &str, ids: &[String]) -> Result<u64, RebuildError> {
    let mut tx = pool.begin_with("begin isolation level repeatable read").await?;
    let schema = &live.schema;
    let seq: Option<i64> = sqlx::query_scalar(AssertSqlSafe(format!(
        "select seq from {schema}.positions where name = $1"
    )))
    .bind(NAME)
    .fetch_optional(&mut *tx)
    .await?;
    for (table, column) in
        [("conversations", "id"), ("messages", "conversation_id"), ("receipts", "conversation_id")]
    {
        let copy = format!(
            "insert into {is}.{table} select * from {schema}.{table} where {column} = any($1)"
        );
        sqlx::query(AssertSqlSafe(copy)).bind(ids).execute(&mut *tx).await?;
    }
    let facts = format!(
        "insert into {is}.facts select f.* from {schema}.facts f where f.entity = any(array(
           select id from {is}.conversations union select id from {is}.messages union select id from {is}.receipts))"
    );
    sqlx::query(AssertSqlSafe(facts)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(u64::try_from(seq.unwrap_or(0)).unwrap_or(0))
}

/// Subjects with everything that was told of them: of the conversation, of the account without a person, and what was withdrawn.
fn filters(chosen: &[Chosen]) -> BTreeSet<String> {
    let mut filters = BTreeSet::new();
    for one in chosen {
        let Ok(channel) = one.channel.parse::<Channel>() else { continue };
        let account = AccountId::new(one.account_id.clone());
        for route in [Route::Contact(&one.contact_id), Route::Account] {
            let subject = subjects::event(channel, &account, route, Kind::MessageReceived);
            let Some((head, _)) = subject.rsplit_once('.') else { continue };
            filters.insert(format!("{head}.>"));
            let mut tokens: Vec<&str> = head.split('.').collect();
            tokens[3] = "*";
            filters.insert(format!("{}.fact-withdrawn", tokens.join(".")));
        }
    }
    filters
}

async fn follow(
    place: &Place,
    builder: &mut Builder,
    filter: &str,
    end: u64,
    told: &mut BTreeSet<u64>,
    pace: &mut Pace<'_>,
) -> Result<(), RebuildError> {
    let mut at = 0;
    let mut follower =
        Follower::new(place.broker.clone(), subjects::INBOX_EVENTS, filter, at, None);
    while holds_between(&place.broker, filter, at, end).await? {
        pace.beat("folding a sample").await?;
        let batch = follower.next_batch(BATCH_MAX).await;
        let batch = batch.map_err(|error| RebuildError::Refused(error.to_string()))?;
        at = batch.last().map_or(at, |last| last.sequence);
        let fresh: Vec<Incoming> = batch
            .iter()
            .filter(|message| message.sequence <= end && told.insert(message.sequence))
            .map(|message| read(message.sequence, &message.subject, &message.payload))
            .collect();
        builder.fold(fresh).await?;
    }
    Ok(())
}

/// Other readings of the same events, which may have been told of somebody else: the worker knows where they are.
async fn others(
    place: &Place,
    builder: &mut Builder,
    is: &str,
    should: &str,
    end: u64,
    told: &mut BTreeSet<u64>,
    pace: &mut Pace<'_>,
) -> Result<(), RebuildError> {
    let published: bool = sqlx::query_scalar("select to_regclass('worker.facts') is not null")
        .fetch_one(&place.pool)
        .await?;
    if !published {
        return Ok(());
    }
    let places = format!(
        "select distinct w.event_seq from worker.facts w where w.event_seq <= $1 and w.event_id in (
           select event_id from {is}.facts union select event_id from {should}.facts)"
    );
    let places: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(places))
        .bind(i64::try_from(end).unwrap_or(i64::MAX))
        .fetch_all(&place.pool)
        .await?;
    let mut fresh = BTreeMap::new();
    for seq in places.into_iter().filter_map(|seq| u64::try_from(seq).ok()) {
        if seq == 0 || !told.insert(seq) {
            continue;
        }
        pace.beat("folding a sample").await?;
        if let Some(incoming) = event_at(&place.broker, seq).await? {
            fresh.insert(seq, incoming);
        }
    }
    builder.fold(fresh.into_values().collect()).await
}

/// Leaves only the chosen conversations of what was folded.
async fn confine(pool: &PgPool, is: &str, should: &str, ids: &[String]) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    for (table, column) in
        [("conversations", "id"), ("messages", "conversation_id"), ("receipts", "conversation_id")]
    {
        let confine =
            format!("delete from {should}.{table} where {column} is null or {column} <> all($1)");
        sqlx::query(AssertSqlSafe(confine)).bind(ids).execute(&mut *conn).await?;
    }
    // A row that is not there at all is told as such; what is kept of it was not copied.
    let facts = format!(
        "delete from {should}.facts f where not exists (select from (
           select id from {is}.conversations union select id from {is}.messages union select id from {is}.receipts) k
          where k.id = f.entity)"
    );
    sqlx::query(AssertSqlSafe(facts)).execute(&mut *conn).await?;
    clear(&mut conn, should, &["comments", "reactions", "posts", "mentions", "insights"]).await?;
    clear(&mut conn, should, &["withdrawn", "parked"]).await
}

async fn clear(conn: &mut PgConnection, schema: &str, tables: &[&str]) -> sqlx::Result<()> {
    for table in tables {
        let clear = format!("delete from {schema}.{table}");
        sqlx::query(AssertSqlSafe(clear)).execute(&mut *conn).await?;
    }
    Ok(())
}
