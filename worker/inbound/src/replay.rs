//! Raw webhooks through today's normaliser again (contract section 9, `replay`): first a plan, then only the difference.
//!
//! A replay cannot send. What is given to it has no way to Meta, to the ledger or to commands: it reads META_RAW, compares with the facts,
//! and publishes events, all with header `Hookline-Replay`, which automations ignore.
//!
//! [`diff`] compares, [`tally`] counts, `source` reads, [`outlet`] publishes again what is stored; [`plan`] looks, [`apply`] acts.

pub mod apply;
pub mod diff;
pub mod outlet;
pub mod plan;
mod rows;
mod source;
pub mod tally;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use runtime::broker::{Broker, Needs};
use runtime::follow::Received;
use schemas::{AccountId, Channel, EventId, Timestamp, subjects};
use serde::{Deserialize, Serialize};

use self::diff::{Gone, Recorded};
pub use self::outlet::{BadTarget, Target};
use self::source::Source;
pub use self::tally::{Counts, Plan, Sample, Tally, Verdict};
use super::output::Output;
use super::shard::{normalize_safely, raw_meta};
use super::{effect, lanes};
use facts::accounts::directory::{Account, Directory};
use facts::accounts::refresh;
use facts::follow_up::senderless::Senderless;
use facts::follow_up::waiting::MessageKey;
use facts::{Draft, FactStore};

/// The streams are there already or there is nothing to replay.
pub const NEEDS: Needs = Needs { streams: &[], best_effort: true };
/// Raw webhooks taken at once.
const BATCH_MAX: usize = 200;
/// Ingest stores what it has received at most so much later.
const STORED_WITHIN: Duration = Duration::from_secs(60);

/// Which raw webhooks, and whose events of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Received at this time or later.
    pub since: Option<Timestamp>,
    /// Received before this time.
    pub until: Option<Timestamp>,
    /// First and last position.
    pub seq: Option<(u64, u64)>,
}

/// The slice of one job, fixed when it is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// First position.
    pub from: u64,
    /// Last position; below `from` where the slice is empty.
    pub to: u64,
    /// Received at this time or later, milliseconds.
    pub since: Option<i64>,
    /// Received before this time, milliseconds.
    pub until: Option<i64>,
    /// Whether nothing comes after the slice.
    pub to_head: bool,
    /// How far the live normaliser had come, by shard: what comes after is its work.
    pub passed: Vec<u64>,
}

/// Whose events; all unless said.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Of this channel.
    pub channel: Option<Channel>,
    /// Of this account, by its canonical id or another that Meta uses.
    pub account: Option<AccountId>,
}

/// What a replay is given: no more.
pub struct Replay {
    broker: Broker,
    facts: FactStore,
    twin_grace: Duration,
    scope: Scope,
}

/// What some raw webhooks say today.
#[derive(Default)]
struct Reading {
    drafts: Vec<Draft>,
    hints: Vec<Senderless>,
    /// Every fact that is given, also by what is not ours to act on.
    given: Vec<EventId>,
    gone: Vec<Gone>,
    raws: u64,
    held: u64,
    kept: u64,
    unreadable: u64,
    left_to_live: u64,
    received: Option<(Timestamp, Timestamp)>,
}

impl Replay {
    /// Over `broker`, recording in `facts`.
    pub const fn new(broker: Broker, facts: FactStore, twin_grace: Duration, scope: Scope) -> Self {
        Self { broker, facts, twin_grace, scope }
    }

    /// Fixes a slice: up to the head as it is now.
    ///
    /// # Errors
    /// When broker or database do not answer.
    pub async fn bounds(&self, slice: &Slice) -> anyhow::Result<Bounds> {
        let passed = rows::positions(self.facts.pool()).await?;
        let source = Source::open(&self.broker).await?;
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
        })
    }

    async fn directory(&self) -> anyhow::Result<Arc<Directory>> {
        let mut conn = self.facts.pool().acquire().await?;
        Ok(Arc::new(refresh::refresh(&mut conn, -1).await?.unwrap_or_default()))
    }

    /// Reads raw webhooks as the live normaliser does, with stored resolutions. `told`: messages that are about to be known.
    async fn read(
        &self,
        batch: &[Received],
        bounds: &Bounds,
        directory: &Directory,
        told: &HashSet<MessageKey>,
    ) -> anyhow::Result<Reading> {
        let pool = self.facts.pool();
        let seqs: Vec<u64> = batch.iter().map(|raw| raw.sequence).collect();
        let mut recorded: HashMap<u64, Vec<Recorded>> = HashMap::new();
        for fact in rows::recorded(pool, &seqs).await? {
            recorded.entry(fact.raw_seq).or_default().push(fact);
        }
        let mut reading = Reading::default();
        let mut outputs = Vec::new();
        for raw in batch {
            // Also what a panic would end is only this raw webhook.
            let (normalized, broken) = normalize_safely(raw, directory);
            let mut of_raw = normalized.outputs;
            if !broken {
                reading.given.extend(of_raw.iter().flat_map(diff::given));
            }
            if !bounds.passed_by_live(raw) {
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
        let sorted = lanes::sort(outputs, &rows::held(pool).await?);
        reading.held += sorted.behind.values().map(|behind| behind.ids.len() as u64).sum::<u64>();
        let (drafts, hints) = effect::hold_edits(pool, sorted.drafts, sorted.hints, told).await?;
        reading.drafts = drafts;
        let hints =
            hints.into_iter().filter(|hint| hint.num_edit > 0 || !told.contains(&key(hint)));
        let (resolved, open) = rows::resolved(pool, self.facts.seal(), hints.collect()).await?;
        reading.drafts.extend(resolved);
        reading.hints = open;
        Ok(reading)
    }
}

impl Bounds {
    fn passed_by_live(&self, raw: &Received) -> bool {
        let shard = raw.subject.rsplit('.').next().and_then(|shard| shard.parse::<usize>().ok());
        let passed = shard.and_then(|shard| self.passed.get(shard)).copied().unwrap_or(0);
        raw.sequence <= passed
    }

    fn holds(&self, received: Timestamp) -> bool {
        let millis = received.as_millis();
        self.since.is_none_or(|since| since <= millis)
            && self.until.is_none_or(|until| millis < until)
    }

    /// How many positions it spans.
    pub const fn span(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }
}

impl Scope {
    fn has(&self, directory: &Directory, channel: Channel, account: &AccountId) -> bool {
        if self.channel.is_some_and(|wanted| wanted != channel) {
            return false;
        }
        let Some(wanted) = &self.account else { return true };
        let own = directory.find(channel, wanted.as_str());
        wanted == account || own.is_some_and(|own: &Account| own.is_self(account.as_str()))
    }
}

fn whose(output: &Output) -> (Channel, &AccountId) {
    match output {
        Output::Fact(draft) => (draft.event.data.channel, &draft.event.data.account_id),
        Output::Senderless(item) => (item.channel, &item.account_id),
    }
}

fn key(hint: &Senderless) -> MessageKey {
    (hint.channel, hint.account_id.clone(), hint.message_id.clone())
}

/// How far the live normaliser is behind, in positions of META_RAW: the shard that is furthest.
///
/// # Errors
/// When broker or database do not answer.
async fn live_lag(broker: &Broker, pool: &sqlx::PgPool) -> anyhow::Result<u64> {
    let positions = rows::positions(pool).await?;
    let stream = broker.js().get_stream_no_info(subjects::META_RAW).await?;
    let mut lag = 0;
    for shard in 0..subjects::SHARDS {
        let filter = subjects::raw_shard_filter(shard);
        if let Ok(last) = stream.get_last_raw_message_by_subject(&filter).await {
            let at = positions.get(shard as usize).copied().unwrap_or(0);
            lag = lag.max(last.sequence.saturating_sub(at));
        }
    }
    Ok(lag)
}
