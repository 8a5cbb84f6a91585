//! The worker's part: erasures that nobody else carries out, messages that were unsent, and raw webhooks that came again.

use std::time::{Duration, Instant};

use facts::FactStore;
use facts::erase::{self, NewErasure, Target};
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::health::Health;
use runtime::lease::Leases;
use runtime::streams::EraseError;
use tokio_util::sync::CancellationToken;

use super::deletions;
use super::work::{Moved, Work, may_erase};

/// The lease.
const NAME: &str = "erase";
/// Between two looks.
const POLL: Duration = Duration::from_secs(1);
/// Between two looks whether the broker takes deletes.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks for unsent messages: a part of how long they are kept, within these bounds.
const UNSENT_LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// After so long it is looked for what is new.
const ROUND: Duration = Duration::from_secs(60);
/// Unsent messages of one round.
const UNSENT_AT_ONCE: i64 = 500;
/// Why an erasure waits that met an error, which is in the log.
const FAILED: &str = "broker or Postgres to answer: see the log";
/// Raw webhooks of one round.
const RAWS_AT_ONCE: i64 = 100;

/// Carries out erasures while it holds the lease.
#[derive(Clone)]
pub(crate) struct Eraser {
    pub(super) broker: Broker,
    pub(super) facts: FactStore,
    pub(super) leases: Leases,
    pub(super) health: Health,
    unsent_after: Duration,
}

impl Eraser {
    /// `unsent_after`: `ERASE_UNSENT_AFTER`.
    pub(crate) fn new(
        broker: &Broker,
        facts: &FactStore,
        leases: &Leases,
        health: &Health,
        unsent_after: Duration,
    ) -> Self {
        Self {
            broker: broker.clone(),
            facts: facts.clone(),
            leases: leases.clone(),
            health: health.clone(),
            unsent_after,
        }
    }

    /// Works whenever this worker holds the lease, until `shutdown`.
    pub(crate) fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let leases = self.leases.clone();
            let work = leases.while_held(NAME, shutdown.clone(), |_, stop| {
                let eraser = self.clone();
                async move { Box::pin(eraser.rounds(&stop)).await }
            });
            let heard = self.clone().hear(shutdown.clone());
            tokio::join!(work, heard);
        })
    }

    async fn rounds(&self, stop: &CancellationToken) {
        // What comes again does not wait for the end of an erasure.
        tokio::join!(self.redact(stop), self.carry_out(stop));
    }

    /// Redacts raw webhooks that came again.
    async fn redact(&self, stop: &CancellationToken) {
        let mut work = Work::new(&self.broker, &self.facts);
        loop {
            let redacted = async {
                tokio::time::sleep(POLL).await;
                work.redactor.redact_waiting(RAWS_AT_ONCE).await
            };
            let redacted = tokio::select! {
                () = stop.cancelled() => return,
                redacted = redacted => redacted,
            };
            if let Err(error) = redacted {
                tracing::warn!(error = %format!("{error:#}"), "Raw webhooks wait to be redacted; trying again");
            }
        }
    }

    /// Carries out erasures, and asks for those of unsent messages.
    async fn carry_out(&self, stop: &CancellationToken) {
        let mut work = Work::new(&self.broker, &self.facts);
        let mut looked: Option<Instant> = None;
        let period = (self.unsent_after / 24).clamp(UNSENT_LOOKS.0, UNSENT_LOOKS.1);
        let may = tokio::select! {
            () = stop.cancelled() => false,
            () = self.until_it_may_erase() => true,
        };
        // Whoever holds the lease next reports what it meets.
        self.health.warn(NAME, None);
        if !may {
            return;
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            let is_due = looked.is_none_or(|at| at.elapsed() >= period);
            let round = async {
                let asked = match is_due {
                    true => self.ask_for_unsent(&work).await,
                    false => Ok(()),
                };
                let is_asked = is_due && asked.is_ok();
                let decided = deletions::decide(&self.broker, self.facts.pool()).await;
                (is_asked, [asked, decided, self.go_on(&mut work, stop).await])
            };
            // A piece that is cut off is done again.
            let (is_asked, done) = tokio::select! {
                () = stop.cancelled() => return,
                done = round => done,
            };
            if is_due {
                let again =
                    if is_asked { Duration::ZERO } else { period.saturating_sub(LOOK_AGAIN) };
                looked = Instant::now().checked_sub(again);
            }
            for error in done.into_iter().filter_map(Result::err) {
                tracing::warn!(error = %format!("{error:#}"), "An erasure waits; trying again");
            }
        }
    }

    /// Returns once the broker takes deletes from this worker. Nothing is begun before: a rule would be published, and what it is about would stay.
    async fn until_it_may_erase(&self) {
        while let Err(error) = may_erase(self.broker.js()).await {
            let why =
                format!("{error}: is it there, and has it the nats-users.conf of this release?");
            if self.health.warn(NAME, Some(why.clone())) {
                tracing::warn!(%why, "Nothing is erased");
            }
            if let Err(error) = erase::all_wait(self.facts.pool(), &why).await {
                tracing::warn!(%error, "Could not note why erasures wait; trying again");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn go_on(&self, work: &mut Work, stop: &CancellationToken) -> anyhow::Result<()> {
        let began = Instant::now();
        // Now and then it is looked for what is new: requests of people come before what was unsent.
        while began.elapsed() < ROUND
            && let Some(erasure) = erase::next(self.facts.pool()).await?
        {
            let moved = match work.go_on(&erasure.id).await {
                Ok(moved) => moved,
                Err(error) => {
                    // The others do not wait for it: it is the last one from now on.
                    let refused = error.downcast_ref::<EraseError>().map(ToString::to_string);
                    let why = refused.as_deref().unwrap_or(FAILED);
                    erase::waits(self.facts.pool(), &erasure.id, why).await?;
                    return Err(error);
                }
            };
            match moved {
                Moved::On => {}
                Moved::Done => {
                    metrics::counter!("hookline_erasures_total").increment(1);
                    tracing::info!(erasure.id = %erasure.id, "Erased `{}`", erasure.id);
                }
                Moved::Waits(_) => break,
            }
            if stop.is_cancelled() {
                break;
            }
        }
        let open = erase::open_count(self.facts.pool()).await?;
        #[allow(clippy::cast_precision_loss)] // a few
        metrics::gauge!("hookline_erasures_open").set(open as f64);
        Ok(())
    }

    async fn ask_for_unsent(&self, work: &Work) -> anyhow::Result<()> {
        // Rights may be taken away again: what is begun without them cannot end.
        may_erase(self.broker.js()).await?;
        let unsent = erase::unsent(self.facts.pool(), self.unsent_after, UNSENT_AT_ONCE).await?;
        for ((channel, account), messages) in unsent {
            work.add(NewErasure {
                channel,
                account: &account,
                target: &Target::Messages(messages),
                until: runtime::now(),
                reason: "unsent",
                asked_by: "worker",
                callback: None,
            })
            .await?;
        }
        Ok(())
    }
}
