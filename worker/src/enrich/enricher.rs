//! Reading wanted profiles. Any number of workers may run it at once.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use runtime::db::within;
use schemas::{AccountId, Channel};
use tokio_util::sync::CancellationToken;

use super::freshness::Answer;
use super::profile;
use super::queue::{self, Claimed};
use crate::config::Waits;
use crate::shares::Shares;
use facts::accounts::{AccountError, AccountStore};
use facts::{FactError, FactStore};
use graph::{Graph, Host};

const POLL: Duration = Duration::from_millis(250);
/// What a claim lasts beyond the one Graph call: to publish what was read. A worker that dies holds a person so long.
const PUBLISH: Duration = Duration::from_secs(12);
/// People asked about at once, per process.
const AT_ONCE: usize = 32;
/// Of one account.
const SHARE: i64 = 4;
/// How long one question to the queue may take: a connection that something in between forgot answers never.
const ROWS_WITHIN: Duration = Duration::from_secs(10);
/// The same for reading one profile, with its call of Graph.
const READ_WITHIN: Duration = Duration::from_secs(90);
const DRAIN: Duration = Duration::from_secs(8);

/// Reads profiles of people who wrote.
pub struct Enricher {
    facts: FactStore,
    accounts: AccountStore,
    graph: Graph,
    waits: Waits,
    owner: String,
}

#[derive(Debug, thiserror::Error)]
enum EnrichError {
    #[error("the queue of profiles")]
    Database(#[from] sqlx::Error),
    #[error("publishing")]
    Facts(#[from] FactError),
    #[error("the account")]
    Account(#[from] AccountError),
    #[error("a bug: the log has its place")]
    Panicked,
}

impl Enricher {
    /// An enricher that claims as `owner` (unique per process).
    pub fn new(
        facts: FactStore,
        accounts: AccountStore,
        graph: Graph,
        waits: Waits,
        owner: impl Into<String>,
    ) -> Self {
        Self { facts, accounts, graph, waits, owner: owner.into() }
    }

    /// Runs until `shutdown`; failures of Postgres and the broker are waited out.
    pub async fn run(&self, shutdown: CancellationToken) {
        let work = async {
            let mut backoff = runtime::retry::Backoff::new(POLL, Duration::from_secs(10));
            let mut reads = FuturesUnordered::new();
            let mut under_way = Shares::default();
            while !shutdown.is_cancelled() {
                let pause = match self.claim(&under_way).await {
                    Ok(due) => {
                        for claimed in due {
                            under_way.begin(claimed.channel, &claimed.account_id);
                            reads.push(self.guarded(claimed));
                        }
                        backoff.reset();
                        POLL
                    }
                    Err(error) => {
                        if backoff.attempts() == 0 {
                            tracing::warn!(%error, "The queue of profiles cannot be read; trying again");
                        }
                        backoff.next(rand::random())
                    }
                };
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                    Some((channel, account)) = reads.next() => under_way.end(channel, &account),
                }
            }
            while reads.next().await.is_some() {}
        };
        let deadline = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            () = work => {}
            () = deadline => tracing::warn!("Left unfinished profile reads to the next worker"),
        }
        if let Err(error) = queue::release(self.facts.pool(), &self.owner).await {
            tracing::warn!(%error, "Claims on profiles lapse by themselves");
        }
    }

    /// Claims what is due and fits beside what is under way.
    async fn claim(&self, under_way: &Shares) -> sqlx::Result<Vec<Claimed>> {
        let room = AT_ONCE.saturating_sub(under_way.count());
        if room == 0 {
            return Ok(Vec::new());
        }
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let lease = self.waits.graph_timeout + PUBLISH;
        let claim = queue::claim(self.facts.pool(), &self.owner, lease, room, SHARE, under_way);
        within(ROWS_WITHIN, claim).await
    }

    /// A failure of one read, even a panic, is its own: it is put off and the others go on. Answers with its account.
    async fn guarded(&self, claimed: Claimed) -> (Channel, AccountId) {
        let read = AssertUnwindSafe(within(READ_WITHIN, self.read(&claimed))).catch_unwind();
        if let Err(error) = read.await.unwrap_or(Err(EnrichError::Panicked)) {
            if matches!(error, EnrichError::Panicked) {
                metrics::counter!("hookline_enrich_panics_total").increment(1);
                tracing::error!(account.id = %claimed.account_id, contact.id = %claimed.contact_id, "Reading a profile broke down: a bug; the others go on");
            }
            let error = anyhow::Error::from(error);
            tracing::warn!(account.id = %claimed.account_id, error = format!("{error:#}"), "Reading a profile is put off");
            let (min, max) = (self.waits.retry_min, self.waits.retry_max);
            let delay = runtime::retry::delay(min, max, 2, rand::random());
            let put_off = queue::put_off(self.facts.pool(), &claimed, delay);
            if let Err(error) = within(ROWS_WITHIN, put_off).await {
                tracing::warn!(%error, "The claim on a profile lapses by itself");
            }
        }
        (claimed.channel, claimed.account_id)
    }

    async fn read(&self, claimed: &Claimed) -> Result<(), EnrichError> {
        let Some(connected) = self.accounts.get(claimed.channel, &claimed.account_id).await? else {
            // Removed since it was claimed: the claim of an account that is not listed finds nothing.
            return Ok(queue::put_off(self.facts.pool(), claimed, self.waits.retry_max).await?);
        };
        let asked_at = runtime::now();
        let told = self.graph.profile(&connected, &claimed.contact_id).await;
        let now = runtime::now();
        let (answer, profile) = match &told {
            Ok(body) => match profile::read(body) {
                Some(profile) => (Answer::Profile, Some(profile)),
                None => (Answer::Empty, None),
            },
            Err(error) => (Answer::of(error), None),
        };
        metrics::counter!("hookline_enrich_answers_total", "answer" => answer.as_str())
            .increment(1);
        if let (Answer::Stopped, Err(error)) = (answer, &told) {
            self.accounts.stop(&connected, &error.brief()).await?;
        }
        // Answers of another kind in between start the count anew.
        let before = answer.count(claimed.answer.as_deref(), claimed.attempts) - 1;
        let next =
            answer.next(before, now, self.waits.retry_min, self.waits.retry_max, rand::random());
        let digest = profile.as_ref().map(profile::digest);
        let drafts: Vec<_> = profile
            .filter(|profile| profile::is_news(claimed.digest.as_deref(), profile))
            .map(|profile| {
                let host = Host::of(&connected.account);
                profile::enriched(
                    claimed.channel,
                    &claimed.account_id,
                    &claimed.contact_id,
                    host,
                    profile,
                    asked_at,
                )
            })
            .into_iter()
            .collect();
        let mut emission = self.facts.begin(&drafts).await?;
        let digest = digest.as_ref().map(|digest| &digest[..]);
        queue::answered(&mut emission.tx, claimed, answer, next, digest, asked_at).await?;
        emission.commit().await?;
        Ok(())
    }
}
