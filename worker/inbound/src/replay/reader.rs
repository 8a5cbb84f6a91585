//! What a replay works with, and how it reads raw webhooks: as the live normaliser does, compared with what is recorded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use runtime::BoxFuture;
use runtime::broker::{Broker, Needs};
use runtime::follow::{Received, stored};
use schemas::{AccountId, Channel, EventId, Timestamp, subjects};

use super::bounds::{Bounds, Scope, Slice};
use super::diff::{self, Gone};
use super::rows;
use super::source::Source;
use crate::output::Output;
use crate::raw_webhook::{RawWebhook, at_first, raw_meta};
use crate::reading::normalize_safely;
use crate::{effect, lanes, parking};
use facts::accounts::directory::Directory;
use facts::accounts::refresh;
use facts::follow_up::senderless::Senderless;
use facts::follow_up::waiting::MessageKey;
use facts::{Draft, FactStore, RecordedFact};

/// The streams are there already or there is nothing to replay.
pub const NEEDS: Needs = Needs { streams: &[], best_effort: true };
/// Raw webhooks taken at once.
pub(super) const BATCH_MAX: usize = 200;
/// Ingest stores what it has received at most so much later.
const STORED_WITHIN: Duration = Duration::from_secs(60);

/// What a replay is given: no more.
pub struct Replay {
    pub(super) broker: Broker,
    pub(super) facts: FactStore,
    pub(super) twin_grace: Duration,
    pub(super) scope: Scope,
}

/// What some raw webhooks say today.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) drafts: Vec<Draft>,
    pub(super) hints: Vec<Senderless>,
    /// Every fact that is given, also by what is not ours to act on.
    pub(super) given: Vec<EventId>,
    pub(super) gone: Vec<Gone>,
    pub(super) raws: u64,
    pub(super) held: u64,
    pub(super) kept: u64,
    pub(super) unreadable: u64,
    pub(super) left_to_live: u64,
    pub(super) received: Option<(Timestamp, Timestamp)>,
}

impl Replay {
    /// Over `broker`, recording in `facts`.
    pub const fn new(broker: Broker, facts: FactStore, twin_grace: Duration, scope: Scope) -> Self {
        Self { broker, facts, twin_grace, scope }
    }

    /// Fixes a slice: up to the head as it is now.
    ///
    /// # Errors
    /// When the broker or Postgres does not answer; nothing was changed, try again.
    pub fn bounds<'a>(&'a self, slice: &'a Slice) -> BoxFuture<'a, anyhow::Result<Bounds>> {
        Box::pin(async move {
            let passed = rows::positions(self.facts.pool()).await?;
            let source = Source::open(&self.broker, self.facts.pool()).await?;
            let (first, head) = source.ends().unwrap_or((1, 0));
            let (mut from, mut to) = (first, head);
            if let Some((one, last)) = slice.seq {
                (from, to) = (from.max(one), to.min(last));
            }
            if let Some(since) = slice.since {
                from = from.max(source.stored_from(since).await?);
            }
            if let Some(until) = slice.until {
                to = to.min(source.stored_from(until.plus(STORED_WITHIN)).await?.saturating_sub(1));
            }
            Ok(Bounds {
                from,
                to,
                since: slice.since.map(Timestamp::as_millis),
                until: slice.until.map(Timestamp::as_millis),
                to_head: to >= head && slice.until.is_none_or(|until| until > runtime::now()),
                passed,
                era: source.era().n,
            })
        })
    }

    pub(super) async fn directory(&self) -> anyhow::Result<Arc<Directory>> {
        let mut conn = self.facts.pool().acquire().await?;
        Ok(Arc::new(refresh::refresh(&mut conn, -1).await?.unwrap_or_default()))
    }

    /// Reads raw webhooks as the live normaliser does, with stored resolutions. `expected`: messages that are about to be known.
    pub(super) async fn read(
        &self,
        batch: &[Received],
        bounds: &Bounds,
        directory: &Directory,
        expected: &HashSet<MessageKey>,
    ) -> anyhow::Result<Reading> {
        let pool = self.facts.pool();
        let raws = at_first(batch);
        let seqs: Vec<u64> = raws.iter().map(|raw| raw.sequence).collect();
        let mut recorded: HashMap<u64, Vec<RecordedFact>> = HashMap::new();
        for fact in self.facts.given_by(&seqs).await? {
            recorded.entry(fact.raw_seq).or_default().push(fact);
        }
        let mut reading = Reading::default();
        let mut outputs = Vec::new();
        for (raw, stored) in raws.iter().zip(batch) {
            // Also what a panic would end is only this raw webhook.
            let (normalized, broken) = normalize_safely(&RawWebhook::of(raw), directory);
            let mut of_raw = normalized.outputs;
            if !broken {
                reading.given.extend(of_raw.iter().flat_map(diff::given));
            }
            if !bounds.passed_by_live(stored) {
                reading.left_to_live += 1;
                continue;
            }
            let received = raw_meta(raw).received_at;
            if !bounds.holds(received) {
                continue;
            }
            reading.raws += 1;
            let (first, last) = reading.received.unwrap_or((received, received));
            reading.received = Some((first.min(received), last.max(received)));
            if broken {
                reading.unreadable += 1;
                continue;
            }
            let mut facts = recorded.remove(&raw.sequence).unwrap_or_default();
            reading.kept += diff::keep_removed(&mut of_raw, &mut facts);
            let gone = diff::gone(&facts, &of_raw);
            reading.gone.extend(gone.into_iter().filter(|gone| {
                self.scope.has(directory, gone.fact.channel, &gone.fact.account_id)
            }));
            of_raw.retain(|output| {
                let (channel, account) = whose(output);
                self.scope.has(directory, channel, account)
            });
            outputs.extend(of_raw.into_iter().map(|output| (raw.sequence, output)));
        }
        let held = parking::held(pool, &outputs).await?;
        let sorted = lanes::sort(outputs, &held);
        reading.held += sorted.behind.values().map(|behind| behind.ids.len() as u64).sum::<u64>();
        let (drafts, hints) =
            effect::hold_edits(pool, sorted.drafts, sorted.hints, expected).await?;
        reading.drafts = drafts;
        let hints =
            hints.into_iter().filter(|hint| hint.num_edit > 0 || !expected.contains(&key(hint)));
        let (resolved, open) = rows::resolved(pool, self.facts.seal(), hints.collect()).await?;
        reading.drafts.extend(resolved);
        reading.hints = open;
        Ok(reading)
    }
}

fn whose(output: &Output) -> (Channel, &AccountId) {
    match output {
        Output::Fact(draft) => (draft.event.data.channel, &draft.event.data.account_id),
        Output::Senderless(item) => (item.channel, &item.account_id),
    }
}

/// The message of an item.
pub(super) fn key(hint: &Senderless) -> MessageKey {
    (hint.channel, hint.account_id.clone(), hint.message_id.clone())
}

/// How far the live normaliser is behind, in positions of META_RAW: the shard that is furthest.
pub(super) async fn live_lag(broker: &Broker, pool: &sqlx::PgPool) -> anyhow::Result<u64> {
    let positions = rows::positions(pool).await?;
    let mut lag = 0;
    for shard in 0..subjects::SHARDS {
        let filter = subjects::raw_shard_filter(shard);
        let last = stored::last(broker.js(), subjects::META_RAW, &filter).await?;
        if let Some(last) = last {
            let at = positions.get(shard as usize).copied().unwrap_or(0);
            lag = lag.max(last.sequence.saturating_sub(at));
        }
    }
    Ok(lag)
}
