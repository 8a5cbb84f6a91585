//! Reading wanted profiles. Any number of workers may run it at once.

use std::time::Duration;

use runtime::claim::{self, Failure, Limits, Queue};
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

/// What a claim lasts beyond the one Graph call: to publish what was read. A worker that dies holds a person so long.
const PUBLISH: Duration = Duration::from_secs(12);
/// People of one account asked about at once, per process.
const SHARE: i64 = 4;
const LIMITS: Limits = Limits {
    places: 32,
    poll: Duration::from_millis(250),
    statement: Duration::from_secs(10),
    // With its call of Graph.
    work: Duration::from_secs(90),
    drain: Duration::from_secs(8),
};

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
        if !claim::run(&WantedProfiles(self), &LIMITS, None, &shutdown).await {
            tracing::warn!("Left unfinished profile reads to the next worker");
        }
        if let Err(error) = queue::release(self.facts.pool(), &self.owner).await {
            tracing::warn!(%error, "Claims on profiles lapse by themselves");
        }
    }

    async fn read(&self, claimed: &Claimed) -> Result<(), EnrichError> {
        let Some(connected) = self.accounts.get(claimed.channel, &claimed.account_id).await? else {
            // Removed since it was claimed: the claim of an account that is not listed finds nothing.
            return Ok(queue::reschedule(self.facts.pool(), claimed, self.waits.retry_max).await?);
        };
        let asked_at = runtime::now();
        let response = self.graph.profile(&connected, &claimed.contact_id).await;
        let now = runtime::now();
        let (answer, profile) = match &response {
            Ok(body) => match profile::read(body) {
                Some(profile) => (Answer::Profile, Some(profile)),
                None => (Answer::Empty, None),
            },
            Err(error) => (Answer::of(error), None),
        };
        metrics::counter!("hookline_enrich_answers_total", "answer" => answer.as_str())
            .increment(1);
        if let (Answer::Stopped, Err(error)) = (answer, &response) {
            self.accounts.stop(&connected, &error.refusal()).await?;
        }
        // Answers of another kind in between start the count anew.
        let before = answer.count(claimed.answer.as_deref(), claimed.attempts()) - 1;
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

/// People whose profiles are due, as a queue.
struct WantedProfiles<'a>(&'a Enricher);

impl Queue for WantedProfiles<'_> {
    type Item = Claimed;
    type Owner = (Channel, AccountId);
    type Error = EnrichError;

    fn owner(claimed: &Claimed) -> Self::Owner {
        (claimed.channel, claimed.account_id.clone())
    }

    async fn claim(
        &self,
        free: usize,
        under_way: &Shares,
    ) -> sqlx::Result<claim::Claimed<Claimed>> {
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        let lease = self.0.waits.graph_timeout + PUBLISH;
        let pool = self.0.facts.pool();
        Ok(queue::claim(pool, &self.0.owner, lease, free, SHARE, under_way).await?.into())
    }

    async fn work(&self, claimed: &Claimed) -> Result<(), EnrichError> {
        self.0.read(claimed).await
    }

    async fn reschedule(
        &self,
        claimed: &Claimed,
        failure: Failure<EnrichError>,
    ) -> sqlx::Result<()> {
        let error = match failure {
            Failure::Failed(error) => format!("{:#}", anyhow::Error::from(error)),
            Failure::Panicked => {
                metrics::counter!("hookline_enrich_panics_total").increment(1);
                tracing::error!(account.id = %claimed.account_id, contact.id = %claimed.contact_id, "Reading a profile broke down: a bug; the others go on");
                "a bug: the log has its place".to_owned()
            }
        };
        tracing::warn!(account.id = %claimed.account_id, error, "Reading a profile is put off");
        let (min, max) = (self.0.waits.retry_min, self.0.waits.retry_max);
        let delay = runtime::retry::delay(min, max, 2, rand::random());
        queue::reschedule(self.0.facts.pool(), claimed, delay).await
    }

    fn unreadable(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The queue of profiles cannot be read; trying again");
    }

    fn lapses(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The claim on a profile lapses by itself");
    }
}
