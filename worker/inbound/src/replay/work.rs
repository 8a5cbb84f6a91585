//! Publishing a slice step by step: paced, after the live normaliser, each step with its progress in one transaction.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops::{Beat, Claim};
use runtime::follow::Received;
use runtime::retry::Backoff;

use super::diff::Gone;
use super::outlet::{Outlet, Target};
use super::plan::PlannedReplay;
use super::progress::{ApplyOptions, Ended, Progress};
use super::reader::{BATCH_MAX, Reading, Replay, live_lag};
use super::source::Source;
use super::survey::{add_counts, count_rest, hash};
use super::tally::{Tally, Verdict};
use crate::normalizer::BATCH_BYTES_MAX;
use crate::{effect, failure};
use facts::accounts::directory::Directory;
use facts::{Draft, Emission, FactError};

/// The live normaliser may be so many raw webhooks behind; beyond that a replay waits for it.
const LIVE_LAG_MAX: u64 = 500;
/// How often the live lag is read.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// How long a broker or a Postgres that is away is waited for before the job is left to be resumed.
const AWAY_MAX: Duration = Duration::from_secs(120);
/// Withdrawals in one transaction.
const WITHDRAWN_AT_ONCE: usize = 200;

/// The work on a claimed job.
pub(super) struct Work<'a> {
    replay: &'a Replay,
    claim: &'a Claim,
    options: &'a ApplyOptions,
    outlet: Outlet,
    progress: Progress,
    rate: Option<f64>,
    beaten: Option<Instant>,
    lag_read: Option<Instant>,
    sent_again: HashSet<u64>,
    directory: Arc<Directory>,
}

/// Called with how many positions are done, and why the work waits.
pub(super) type At<'a> = &'a mut dyn FnMut(u64, &str);

/// What one transaction is about.
#[derive(Clone, Copy)]
enum Step<'a> {
    Raws(&'a [Received]),
    Withdraw(&'a [Draft], &'a [&'a str]),
}

impl<'a> Work<'a> {
    pub(super) fn new(
        replay: &'a Replay,
        claim: &'a Claim,
        options: &'a ApplyOptions,
        outlet: Outlet,
        progress: Progress,
        directory: Arc<Directory>,
    ) -> Self {
        Self {
            replay,
            claim,
            options,
            outlet,
            progress,
            rate: claim.job.rate,
            beaten: None,
            lag_read: None,
            sent_again: HashSet::new(),
            directory,
        }
    }

    /// What is done.
    pub(super) fn into_tally(self) -> Tally {
        self.progress.done
    }
}

impl Work<'_> {
    /// Publishes what is left of the slice, then the withdrawals.
    pub(super) async fn run(
        &mut self,
        planned: &PlannedReplay,
        at: At<'_>,
    ) -> anyhow::Result<Ended> {
        let source = Source::open(&self.replay.broker, self.replay.facts.pool()).await?;
        self.progress.bounds.are_of(source.era().n)?;
        let bounds = self.progress.bounds.clone();
        let mut slice = source.slice(self.progress.next, bounds.to);
        loop {
            let allowed = match self.pulse(at).await? {
                Ok(allowed) => allowed,
                Err(ended) => return Ok(ended),
            };
            let began = Instant::now();
            let Some(batch) = slice.next(allowed).await? else { break };
            for part in runtime::follow::parts(&batch, BATCH_BYTES_MAX) {
                if let Some(ended) = self.patiently(Step::Raws(part), at).await? {
                    return Ok(ended);
                }
                at(self.done(), "");
            }
            if let Some(ended) = self.pace(batch.len(), began, at).await? {
                return Ok(ended);
            }
        }
        if self.options.target == Target::Events {
            let drafts: Vec<Draft> = planned.gone.iter().map(Gone::withdrawal).collect();
            let kinds: Vec<&str> =
                planned.gone.iter().map(|gone| gone.fact.kind.as_str()).collect();
            for (drafts, kinds) in
                drafts.chunks(WITHDRAWN_AT_ONCE).zip(kinds.chunks(WITHDRAWN_AT_ONCE))
            {
                if let Err(ended) = self.pulse(at).await? {
                    return Ok(ended);
                }
                if let Some(ended) = self.patiently(Step::Withdraw(drafts, kinds), at).await? {
                    return Ok(ended);
                }
            }
        }
        Ok(Ended::Done)
    }

    fn done(&self) -> u64 {
        self.progress.next.saturating_sub(self.progress.bounds.from)
    }

    /// Renews the claim, reads wishes, and lets the live normaliser go first. Returns how many raw webhooks may be taken now.
    async fn pulse(&mut self, at: At<'_>) -> anyhow::Result<Result<usize, Ended>> {
        loop {
            if self.beaten.is_none_or(|beaten| beaten.elapsed() >= ops::BEAT) {
                match self.claim.beat().await {
                    Ok(Beat::Go { rate }) => self.rate = rate,
                    Ok(Beat::Stop(wish)) => return Ok(Err(Ended::Stopped(wish))),
                    Ok(Beat::Lost) => return Ok(Err(Ended::Lost)),
                    // Nothing can be committed either; the work itself fails when that lasts.
                    Err(_) => {}
                }
                self.beaten = Some(Instant::now());
            }
            if self.lag_read.is_none_or(|read| read.elapsed() >= LAG_EVERY) {
                let lag = live_lag(&self.replay.broker, self.replay.facts.pool()).await;
                if let Ok(lag) = lag
                    && lag > LIVE_LAG_MAX
                {
                    at(self.done(), &format!("waits for the live normaliser, {lag} behind"));
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
                self.lag_read = Some(Instant::now());
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
            let allowed =
                self.rate.map_or(BATCH_MAX, |rate| rate.clamp(1.0, BATCH_MAX as f64) as usize);
            return Ok(Ok(allowed));
        }
    }

    /// Waits until the rate allows more, reading wishes meanwhile.
    async fn pace(
        &mut self,
        count: usize,
        began: Instant,
        at: At<'_>,
    ) -> anyhow::Result<Option<Ended>> {
        loop {
            let Some(rate) = self.rate.filter(|rate| *rate > 0.0) else { return Ok(None) };
            #[allow(clippy::cast_precision_loss)] // a small count
            let due = Duration::from_secs_f64((count as f64 / rate).min(1e6));
            let Some(left) = due.checked_sub(began.elapsed()) else { return Ok(None) };
            tokio::time::sleep(left.min(Duration::from_millis(500))).await;
            if let Err(ended) = self.pulse(at).await? {
                return Ok(Some(ended));
            }
        }
    }

    /// Carries a step out, waiting for servers that are away. Where something of it can never be carried out, smaller parts are taken, and
    /// the raw webhook that it is about is counted and left out.
    async fn patiently(&mut self, step: Step<'_>, at: At<'_>) -> anyhow::Result<Option<Ended>> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let began = Instant::now();
        loop {
            let error = match self.carry_out(step).await {
                Ok(true) => return Ok(None),
                Ok(false) => return Ok(Some(Ended::Lost)),
                Err(error) => error,
            };
            let cause = error.downcast_ref::<FactError>().and_then(failure::cause);
            if let (Some(_), Step::Raws(batch)) = (&cause, step) {
                if let [_] = batch {
                    return self.leave_out(batch).await;
                }
                let (first, second) = batch.split_at(batch.len() / 2);
                for half in [first, second] {
                    if let Some(ended) = Box::pin(self.patiently(Step::Raws(half), at)).await? {
                        return Ok(Some(ended));
                    }
                }
                return Ok(None);
            }
            if !failure::passes(&error) || began.elapsed() > AWAY_MAX {
                return Err(error);
            }
            at(self.done(), "waits for the broker or Postgres");
            tokio::time::sleep(backoff.next(rand::random())).await;
            if let Err(ended) = self.pulse(at).await? {
                return Ok(Some(ended));
            }
        }
    }

    async fn leave_out(&mut self, batch: &[Received]) -> anyhow::Result<Option<Ended>> {
        let mut progress = self.progress.clone();
        progress.done.raw_webhooks += 1;
        progress.done.failed += 1;
        progress.next = batch.last().map_or(progress.next, |raw| raw.sequence + 1);
        let mut tx = self.replay.facts.pool().begin().await?;
        if !self.claim.save(&mut tx, &serde_json::to_value(&progress)?).await? {
            return Ok(Some(Ended::Lost));
        }
        tx.commit().await?;
        self.progress = progress;
        Ok(None)
    }

    /// One transaction: facts, what follows from them, and the progress. `false`: another process holds the job, nothing was recorded.
    async fn carry_out(&mut self, step: Step<'_>) -> anyhow::Result<bool> {
        let facts = self.replay.facts.clone();
        let mut progress = self.progress.clone();
        let mut reading = Reading::default();
        if let Step::Raws(batch) = step {
            let expected = HashSet::new();
            reading = self.replay.read(batch, &progress.bounds, &self.directory, &expected).await?;
            add_counts(&mut progress.done, &reading);
            progress.next = batch.last().map_or(progress.next, |raw| raw.sequence + 1);
        }
        let drafts = match step {
            Step::Raws(_) => std::mem::take(&mut reading.drafts),
            Step::Withdraw(drafts, _) => drafts.to_vec(),
        };
        if let Target::Subject(_) = self.options.target {
            progress.done.again += self.again(&drafts).await?;
            return self.save(progress).await;
        }
        let decision = {
            let mut conn = facts.pool().acquire().await?;
            facts.plan(&mut conn, drafts.clone()).await?.decision
        };
        count_rest(&mut progress.done, &decision.known, &decision.refused);
        progress.done.waiting += reading.hints.len() as u64;
        if self.options.all {
            progress.done.again += self.again(&decision.known).await?;
        }
        // As they were read: what is published is merged from what each item says by itself.
        let changed = decision.changed();
        let fresh: Vec<Draft> =
            drafts.into_iter().filter(|draft| changed.contains(&draft.event.id)).collect();
        runtime::failpoint!("replay.before_publish");
        let mut emission = facts.begin(&fresh).await?;
        let twin_grace = self.replay.twin_grace;
        effect::follow_up_with(&facts, twin_grace, &mut emission, &reading.hints).await?;
        let Emission { mut tx, published } = emission;
        match step {
            Step::Withdraw(_, kinds) => {
                // What an interrupted attempt withdrew is not planned again.
                for kind in kinds.iter().take(published.placed.len()) {
                    progress.done.count(kind, Verdict::Withdrawn);
                }
            }
            Step::Raws(_) => {
                for event in published.events() {
                    let verdict =
                        if event.revision() == 0 { Verdict::Added } else { Verdict::Changed };
                    progress.done.count(event.kind().as_str(), verdict);
                }
            }
        }
        if !self.claim.save(&mut tx, &serde_json::to_value(&progress)?).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        runtime::failpoint!("replay.before_commit");
        tx.commit().await?;
        runtime::failpoint!("replay.after_commit");
        self.progress = progress;
        Ok(true)
    }

    async fn again(&mut self, drafts: &[Draft]) -> anyhow::Result<u64> {
        // Once per job: a batch in which the broker knows one id is sent message by message.
        let mut seen = HashSet::new();
        let drafts: Vec<Draft> = drafts
            .iter()
            .filter(|draft| {
                let hash = hash(&draft.event.id);
                !self.sent_again.contains(&hash) && seen.insert(hash)
            })
            .cloned()
            .collect();
        let ids: Vec<&str> = drafts.iter().map(|draft| draft.event.id.as_str()).collect();
        let stored = self.replay.facts.places(&ids).await?;
        let count = self.outlet.again(&drafts, &stored).await?;
        self.sent_again.extend(seen);
        Ok(count)
    }

    async fn save(&mut self, progress: Progress) -> anyhow::Result<bool> {
        let mut tx = self.replay.facts.pool().begin().await?;
        if !self.claim.save(&mut tx, &serde_json::to_value(&progress)?).await? {
            return Ok(false);
        }
        tx.commit().await?;
        self.progress = progress;
        Ok(true)
    }
}
