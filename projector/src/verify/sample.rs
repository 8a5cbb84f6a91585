//! Verifying some conversations. Their rows are copied from one snapshot; the events that made them are found by the broker's index of
//! subjects and by what the worker published, and folded anew.

use std::collections::{BTreeMap, BTreeSet};

use runtime::follow::Follower;
use runtime::lease::Position;
use schemas::Kind;
use schemas::subjects::{self, Route};
use sqlx::{Connection as _, PgPool};
use tokio_util::sync::CancellationToken;

use super::choose::{Chosen, choose};
use super::scratch::Scratch;
use super::verified::{Sample, Verified};
use crate::read::Incoming;
use crate::rebuild::{
    Builder, Heartbeat, Live, Place, Reader, RebuildError, Show, event_at, holds_between,
};
use crate::store::schema::migrate;
use crate::store::tables::{
    comments, conversations, facts, insights, labels, mentions, messages, notes, parked,
    positions as stored_positions, posts, reactions, receipts, withdrawn,
};
use crate::store::{NAME, SchemaName, scope, two_models};
use crate::worker_view::{positions, worker_publishes};

/// Events folded at once.
const BATCH_MAX: usize = 1000;

/// Folds the events of `count` conversations and compares their rows.
///
/// # Errors
/// See [`RebuildError`]; nothing was changed.
pub async fn sample(
    place: &Place,
    count: u32,
    seed: i64,
    stop: CancellationToken,
    show: Show<'_>,
) -> Result<Verified, RebuildError> {
    let heart = Heartbeat::new(None, place.pool.clone(), stop, show);
    let (is, should) = (Scratch::make(&place.pool).await?, Scratch::make(&place.pool).await?);
    let verified = verify(place, count, seed, (&is.schema, &should.schema), heart).await;
    let gone = (is.gone().await, should.gone().await);
    let verified = verified?;
    gone.0?;
    gone.1?;
    Ok(verified)
}

async fn verify(
    place: &Place,
    count: u32,
    seed: i64,
    (is, should): (&SchemaName, &SchemaName),
    mut heart: Heartbeat<'_>,
) -> Result<Verified, RebuildError> {
    let live = Live::look_at(place).await?;
    migrate(&place.pool, is, &CancellationToken::new()).await?;
    let builder = Builder::open(place, should).await?;
    builder.same_stream(&live, false).await?;
    let chosen = choose(place, &live, count, seed, &mut heart).await?;
    let ids: Vec<String> = chosen.keys().cloned().collect();
    let position = copy(&place.pool, &live, is, &ids).await?;
    let mut folding = Folding { place, builder, heart, end: position, folded: BTreeSet::new() };
    for filter in filters(&chosen) {
        folding.follow(&filter).await?;
    }
    folding.others(is, should).await?;
    confine(&place.pool, (is, should, &live.schema), &ids).await?;
    let reader = Reader::open(&place.pool).await?;
    let comparison = folding.heart.during("comparing", reader.compare(is, should)).await?;
    let sample = Some(Sample { conversations: ids.len(), seed });
    Ok(Verified { schema: live.schema.to_string(), position, sample, comparison })
}

/// Copies the rows of the chosen conversations as they are at one position, which is returned. A snapshot has rows and position of the same
/// commit, and keeps no projector waiting.
async fn copy(
    pool: &PgPool,
    live: &Live,
    is: &SchemaName,
    ids: &[String],
) -> Result<u64, RebuildError> {
    let mut conn = pool.acquire().await?.detach();
    runtime::db::scrub::hold_off(&mut conn).await?;
    let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
    scope::enter(&mut tx, &live.schema).await?;
    let position = stored_positions::stored(&mut tx, NAME).await?;
    two_models::copy_conversations(&mut tx, &live.schema, is, ids).await?;
    tx.commit().await?;
    conn.close().await?;
    Ok(position)
}

/// Subjects with all events that may be about the chosen: of the conversation, of the account without a person, and what was withdrawn.
fn filters(chosen: &Chosen) -> BTreeSet<String> {
    let mut filters = BTreeSet::new();
    for identity in chosen.values() {
        for route in [Route::Contact(identity.contact_id.as_str()), Route::Account] {
            let (channel, account) = (identity.channel, &identity.account_id);
            let subject = subjects::event(channel, account, route, Kind::MessageReceived);
            let Some((head, _)) = subject.rsplit_once('.') else { continue };
            filters.insert(format!("{head}.>"));
            let mut tokens: Vec<&str> = head.split('.').collect();
            tokens[3] = "*";
            filters.insert(format!("{}.fact-withdrawn", tokens.join(".")));
        }
    }
    filters
}

/// The events of the sample on their way into a model of their own.
struct Folding<'a> {
    place: &'a Place,
    builder: Builder,
    heart: Heartbeat<'a>,
    /// The position of the copy.
    end: u64,
    /// Positions of the events folded so far.
    folded: BTreeSet<u64>,
}

impl Folding<'_> {
    /// Folds the events of these subjects.
    async fn follow(&mut self, filter: &str) -> Result<(), RebuildError> {
        let (broker, end) = (self.place.broker.clone(), self.end);
        let mut at = 0;
        let mut follower =
            Follower::new(broker.clone(), subjects::INBOX_EVENTS, filter, Position::default());
        while holds_between(&broker, filter, at, end).await? {
            self.heart.beat("folding a sample").await?;
            let batch = follower.next_batch(BATCH_MAX).await;
            let batch = batch.map_err(|error| RebuildError::Refused(error.to_string()))?;
            at = batch.last().map_or(at, |last| last.sequence);
            let fresh: Vec<Incoming> = batch
                .iter()
                .filter(|message| message.sequence <= end && self.folded.insert(message.sequence))
                .map(Incoming::of)
                .collect();
            self.builder.fold(fresh).await?;
        }
        Ok(())
    }

    /// Folds other readings of the same events, which may be about another person: the worker knows where they are.
    async fn others(&mut self, is: &SchemaName, should: &SchemaName) -> Result<(), RebuildError> {
        let mut tx = self.place.pool.begin().await?;
        if !worker_publishes(&mut tx).await? {
            return Ok(());
        }
        let mut events = BTreeSet::new();
        for schema in [is, should] {
            scope::enter(&mut tx, schema).await?;
            events.extend(facts::events(&mut tx).await?);
        }
        let events: Vec<String> = events.into_iter().collect();
        let end = i64::try_from(self.end).unwrap_or(i64::MAX);
        let found = positions(&mut tx, &events, end).await?;
        tx.commit().await?;
        let mut fresh = BTreeMap::new();
        for seq in found.into_iter().filter_map(|seq| u64::try_from(seq).ok()) {
            if seq == 0 || !self.folded.insert(seq) {
                continue;
            }
            self.heart.beat("folding a sample").await?;
            if let Some(incoming) = event_at(&self.place.broker, seq).await? {
                fresh.insert(seq, incoming);
            }
        }
        self.builder.fold(fresh.into_values().collect()).await
    }
}

/// Leaves only the chosen conversations of what was folded.
async fn confine(
    pool: &PgPool,
    (is, should, serving): (&SchemaName, &SchemaName, &SchemaName),
    ids: &[String],
) -> sqlx::Result<()> {
    let mut tx = scope::begin(pool, should).await?;
    conversations::confine(&mut tx, ids).await?;
    messages::confine(&mut tx, ids).await?;
    two_models::confine_messages(&mut tx, should, is, serving).await?;
    receipts::confine(&mut tx, ids).await?;
    labels::confine(&mut tx, ids).await?;
    notes::confine(&mut tx, ids).await?;
    // A row that is not there at all is reported as such; its facts were not copied.
    two_models::confine_facts(&mut tx, should, is).await?;
    comments::clear(&mut tx).await?;
    reactions::clear(&mut tx).await?;
    posts::clear(&mut tx).await?;
    mentions::clear(&mut tx).await?;
    insights::clear(&mut tx).await?;
    withdrawn::clear(&mut tx).await?;
    parked::clear(&mut tx).await?;
    tx.commit().await
}
