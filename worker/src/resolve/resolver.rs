//! Going over the ladder with what is due in the waiting room. Any number of workers may run it at once.

use std::convert::Infallible;
use std::time::Duration;

use runtime::claim::{self, Failure, Limits, Queue};
use runtime::db::within;
use runtime::notify::Listener;
use schemas::{AccountId, Channel};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::error::ResolveError;
use super::evidence::{Item, Look};
use super::graph_lookup::GraphLookup;
use super::ladder::{self, Evidence, Step};
use super::publisher::Publisher;
use super::rows::{self, Claimed, Pass};
use crate::config::Waits;
use crate::shares::Shares;
use facts::FactStore;
use facts::accounts::{AccountError, AccountStore, Connected};
use facts::follow_up::waiting;
use facts::seal::Seal;
use graph::{Class, Graph};

/// A worker that dies holds its items this long; one that lives renews its claims.
const CLAIM: Duration = Duration::from_secs(20);
/// Items of one account worked on at once, per process: more would only wait for each other at Graph.
const SHARE: i64 = 4;
const LIMITS: Limits = Limits {
    places: 32,
    poll: Duration::from_millis(250),
    statement: Duration::from_secs(10),
    // A whole pass over the ladder, with its calls of Graph.
    work: Duration::from_secs(180),
    // Passes that are under way may go on so long after a signal.
    drain: Duration::from_secs(8),
};
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Finds the senders of waiting items.
pub struct Resolver {
    publisher: Publisher,
    accounts: AccountStore,
    lookup: GraphLookup,
    owner: String,
}

impl Resolver {
    /// A resolver that claims as `owner` (unique per process).
    pub fn new(
        facts: FactStore,
        accounts: AccountStore,
        seal: Seal,
        graph: Graph,
        waits: Waits,
        owner: impl Into<String>,
    ) -> Self {
        let publisher = Publisher { facts, seal, waits };
        Self { publisher, accounts, lookup: GraphLookup::new(graph), owner: owner.into() }
    }

    fn pool(&self) -> &PgPool {
        self.publisher.facts.pool()
    }

    /// Runs until `shutdown`; failures of Postgres and the broker are waited out.
    pub async fn run(&self, shutdown: CancellationToken) {
        let listener = Listener::start(self.pool().clone(), waiting::CHANNEL);
        let queue = WaitingRoom(self);
        let drained = tokio::select! {
            drained = claim::run(&queue, &LIMITS, Some(&listener), &shutdown) => drained,
            never = self.keep_count() => match never {},
        };
        if !drained {
            tracing::warn!("Left unfinished look-ups to the next worker");
        }
        if let Err(error) = rows::release(self.pool(), &self.owner).await {
            tracing::warn!(%error, "Claims on waiting items lapse by themselves");
        }
    }

    async fn keep_count(&self) -> Infallible {
        loop {
            self.count().await;
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }

    async fn count(&self) {
        let Ok(counts) = within(LIMITS.statement, rows::counts(self.pool())).await else {
            return;
        };
        for state in ["waiting", "unresolved", "content"] {
            let count =
                counts.iter().find(|(name, _)| name == state).map_or(0, |(_, count)| *count);
            #[allow(clippy::cast_precision_loss)] // a gauge
            metrics::gauge!("hookline_resolve_waiting", "state" => state).set(count as f64);
        }
    }

    async fn pass(&self, claimed: &Claimed) -> Result<(), ResolveError> {
        let pool = self.pool();
        let claimed = &rows::known_before(pool, claimed.clone()).await?;
        let item = &claimed.item;
        let mut evidence = Evidence {
            known: rows::known(pool, item).await?,
            thread: rows::people_of_thread(pool, item).await?,
            ..Evidence::default()
        };
        let own = self.connected(item).await?;
        evidence.graph = own.as_ref().is_some_and(|own| !own.account.stopped);
        let other = match &own {
            Some(own) if evidence.graph => self.accounts.other_login(&own.account).await?,
            _ => None,
        };
        evidence.other_login = other.is_some();
        let mut guesses = None;
        loop {
            let now = runtime::now();
            match (ladder::next(item, &evidence, now), &own, &other) {
                (Step::AskMessage, Some(own), _) => {
                    evidence.message =
                        Some(self.stopping(own, self.lookup.message(item, own, own).await).await?);
                }
                (Step::AskOtherHost, Some(own), Some(other)) => {
                    evidence.other_host = Some(
                        self.stopping(other, self.lookup.message(item, own, other).await).await?,
                    );
                }
                (Step::AskScan, Some(own), _) => {
                    let (look, guessed) = self.lookup.scan(item, own).await;
                    evidence.scan = Some(self.stopping(own, look).await?);
                    guesses = guessed;
                }
                // Not reached: the ladder asks only where a connection was found.
                (Step::AskMessage | Step::AskOtherHost | Step::AskScan, ..) => {
                    evidence.graph = false
                }
                (Step::CameByItself(author), ..) => {
                    return self.publisher.came_by_itself(claimed, &author).await;
                }
                (Step::Settle(settled), ..) => {
                    let guesses = guesses.as_ref();
                    return self.publisher.settle(claimed, &evidence, &settled, guesses, now).await;
                }
                (Step::Defer(wait), ..) => {
                    let tried = ladder::tried(item, &evidence);
                    let pass = Pass {
                        state: item.state,
                        due_at: Some(now.plus(wait)),
                        counted: false,
                        tried: &tried,
                        guesses: None,
                        gone: false,
                        unresolved: None,
                        author: None,
                    };
                    return self.publisher.wait(claimed, &pass).await;
                }
                (Step::Unresolved(hint), ..) => {
                    let guesses = guesses.as_ref();
                    return self.publisher.unresolved(claimed, &evidence, hint, guesses, now).await;
                }
            }
        }
    }

    /// The account with its token; a token that does not open is logged once per pass and keeps Graph out.
    async fn connected(&self, item: &Item) -> Result<Option<Connected>, ResolveError> {
        match self.accounts.get(item.channel, &item.account_id).await {
            Err(AccountError::Seal { account, source }) => {
                tracing::error!(account.id = %account, "The token of account `{account}` does not open: {source}");
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    /// A token that Meta refuses stops its account.
    async fn stopping(&self, asked: &Connected, look: Look) -> Result<Look, ResolveError> {
        if let Look::Failed(error) = &look
            && error.class == Class::Account
        {
            self.accounts.stop(asked, &error.refusal()).await?;
        }
        Ok(look)
    }
}

/// The waiting room as a queue.
struct WaitingRoom<'a>(&'a Resolver);

impl Queue for WaitingRoom<'_> {
    type Item = Claimed;
    type Owner = (Channel, AccountId);
    type Error = ResolveError;

    fn owner(claimed: &Claimed) -> Self::Owner {
        (claimed.item.channel, claimed.item.account_id.clone())
    }

    async fn claim(
        &self,
        free: usize,
        under_way: &Shares,
    ) -> sqlx::Result<claim::Claimed<Claimed>> {
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        let pool = self.0.pool();
        Ok(rows::claim(pool, &self.0.owner, CLAIM, free, SHARE, under_way).await?.into())
    }

    async fn keep(&self, claimed: &Claimed) -> Infallible {
        rows::keep(self.0.pool(), &self.0.owner, &claimed.item, CLAIM).await
    }

    async fn work(&self, claimed: &Claimed) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let span = tracing::info_span!("resolve", account.id = %item.account_id);
        runtime::telemetry::continue_trace(&span, item.traceparent.as_deref());
        self.0.pass(claimed).instrument(span).await
    }

    async fn reschedule(
        &self,
        claimed: &Claimed,
        failure: Failure<ResolveError>,
    ) -> sqlx::Result<()> {
        let item = &claimed.item;
        let error = match failure {
            Failure::Failed(error) => format!("{:#}", anyhow::Error::from(error)),
            Failure::Panicked => {
                metrics::counter!("hookline_resolve_panics_total").increment(1);
                tracing::error!(account.id = %item.account_id, message.id = %item.message_id, "A look-up broke down: a bug; the others go on");
                "a bug: the log has its place".to_owned()
            }
        };
        tracing::warn!(account.id = %item.account_id, message.id = %item.message_id, error, "A look-up is put off");
        let (min, max) = (self.0.publisher.waits.retry_min, self.0.publisher.waits.retry_max);
        let delay = runtime::retry::delay(min, max, 1, rand::random());
        rows::reschedule(self.0.pool(), claimed, delay).await
    }

    fn unreadable(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The waiting room cannot be read; trying again");
    }

    fn lapses(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The claim on a waiting item lapses by itself");
    }
}
