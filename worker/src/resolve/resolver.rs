//! Going over the ladder with what is due in the waiting room. Any number of workers may run it at once.

use std::convert::Infallible;
use std::time::Duration;

use runtime::claim::{self, Failure, Limits, Queue};
use runtime::db::within;
use runtime::notify::Listener;
use schemas::{AccountId, Channel, Event, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::evidence::{Author, Item, Look, Method, State};
use super::ladder::{self, Evidence, Settled, Step};
use super::lookups::Lookups;
use super::outcome;
use super::rows::{self, Claimed, Pass, Resolution};
use crate::config::Waits;
use crate::shares::Shares;
use facts::accounts::{AccountError, AccountStore, Connected};
use facts::follow_up::waiting::{self, Revealed};
use facts::follow_up::wants::{self, Want};
use facts::seal::{Seal, SealError};
use facts::{Draft, FactError, FactStore, ids};
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
    facts: FactStore,
    accounts: AccountStore,
    seal: Seal,
    looks: Lookups,
    waits: Waits,
    owner: String,
}

#[derive(Debug, thiserror::Error)]
enum ResolveError {
    #[error("the waiting room")]
    Database(#[from] sqlx::Error),
    #[error("publishing")]
    Facts(#[from] FactError),
    #[error("the account")]
    Account(#[from] AccountError),
    #[error("sealing a resolution")]
    Seal(#[from] SealError),
    #[error("writing a resolution")]
    Json(#[from] serde_json::Error),
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
        Self { facts, accounts, seal, looks: Lookups::new(graph), waits, owner: owner.into() }
    }

    /// Runs until `shutdown`; failures of Postgres and the broker are waited out.
    pub async fn run(&self, shutdown: CancellationToken) {
        let listener = Listener::start(self.facts.pool().clone(), waiting::CHANNEL);
        let queue = WaitingRoom(self);
        let drained = tokio::select! {
            drained = claim::run(&queue, &LIMITS, Some(&listener), &shutdown) => drained,
            never = self.keep_count() => match never {},
        };
        if !drained {
            tracing::warn!("Left unfinished look-ups to the next worker");
        }
        if let Err(error) = rows::release(self.facts.pool(), &self.owner).await {
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
        let Ok(counts) = within(LIMITS.statement, rows::counts(self.facts.pool())).await else {
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
        let pool = self.facts.pool();
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
                        Some(self.stopping(own, self.looks.message(item, own, own).await).await?);
                }
                (Step::AskOtherHost, Some(own), Some(other)) => {
                    evidence.other_host = Some(
                        self.stopping(other, self.looks.message(item, own, other).await).await?,
                    );
                }
                (Step::AskScan, Some(own), _) => {
                    let (look, guessed) = self.looks.scan(item, own).await;
                    evidence.scan = Some(self.stopping(own, look).await?);
                    guesses = guessed;
                }
                // Not reached: the ladder asks only where a connection was found.
                (Step::AskMessage | Step::AskOtherHost | Step::AskScan, ..) => {
                    evidence.graph = false
                }
                (Step::CameByItself(author), ..) => {
                    return self.came_by_itself(claimed, &author).await;
                }
                (Step::Settle(settled), ..) => {
                    return self.settle(claimed, &evidence, &settled, guesses.as_ref(), now).await;
                }
                (Step::Defer(wait), ..) => {
                    let tried = ladder::tried(item, &evidence);
                    return self
                        .wait(
                            claimed,
                            &Pass {
                                state: item.state,
                                due_at: Some(now.plus(wait)),
                                counted: false,
                                tried: &tried,
                                guesses: None,
                                gone: false,
                                unresolved: None,
                                author: None,
                            },
                        )
                        .await;
                }
                (Step::Unresolved(hint), ..) => {
                    return self.unresolved(claimed, &evidence, hint, guesses.as_ref(), now).await;
                }
            }
        }
    }

    /// The account with its token; a token that does not open is told once per look and keeps Graph out.
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
            self.accounts.stop(asked, &error.brief()).await?;
        }
        Ok(look)
    }

    /// What a replay brought is published as replayed.
    fn facts_of(&self, claimed: &Claimed) -> FactStore {
        match &claimed.replay {
            Some(job) => self.facts.replaying(job),
            None => self.facts.clone(),
        }
    }

    async fn wait(&self, claimed: &Claimed, pass: &Pass<'_>) -> Result<(), ResolveError> {
        let mut conn = self.facts.pool().acquire().await?;
        Ok(rows::wait(&mut conn, claimed, pass).await?)
    }

    async fn came_by_itself(&self, claimed: &Claimed, author: &Author) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let (time, _) = outcome::message_time(item, None);
        let drafts: Vec<Draft> = outcome::withdrawal(item, author, time).into_iter().collect();
        let mut emission = self.facts_of(claimed).begin(&drafts).await?;
        rows::resolved(&mut emission.tx, claimed, Method::KnownMessage.as_str()).await?;
        emission.commit().await?;
        metrics::counter!("hookline_resolve_resolved_total", "method" => Method::KnownMessage.as_str()).increment(1);
        Ok(())
    }

    async fn settle(
        &self,
        claimed: &Claimed,
        evidence: &Evidence,
        settled: &Settled,
        guesses: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let tried = ladder::tried(item, evidence);
        let missing = outcome::content_missing(item, settled, evidence.known.is_some());
        let again = ladder::again(
            item,
            evidence,
            now,
            self.waits.retry_min,
            self.waits.retry_max,
            rand::random(),
        );
        let keep_looking = missing && again.is_some() && ladder::content_may_come(item, evidence);
        let pass = Pass {
            state: State::Content,
            due_at: again,
            counted: true,
            tried: &tried,
            guesses: None,
            gone: ladder::gone(item, evidence),
            unresolved: None,
            author: Some((&settled.author, settled.method)),
        };
        if item.state == State::Content && missing && keep_looking {
            // Published without content already: nothing new to say.
            return self.wait(claimed, &pass).await;
        }
        let resolution = outcome::resolution(settled, &tried, guesses);
        let drafts = outcome::settled(item, settled, &resolution);
        let mut emission = self.facts_of(claimed).begin(&drafts).await?;
        let events: Vec<Event> = emission.published.events().cloned().collect();
        let wants: Vec<Want> = events.iter().filter_map(Want::of).collect();
        let message = ids::message(item.channel, &item.account_id, item.message_id.as_str());
        if let Some(draft) = drafts.iter().find(|draft| draft.event.id == message) {
            let context = resolution_context(item);
            let sealed = self.seal.seal(&context, &serde_json::to_string(&draft.event)?)?;
            let stored = Resolution {
                method: settled.method.as_str(),
                author: &settled.author,
                evidence: resolution.evidence.as_ref().unwrap_or(&serde_json::Value::Null),
                event_id: message.as_str(),
                sealed,
            };
            rows::store_resolution(&mut emission.tx, item, stored).await?;
        }
        if keep_looking {
            rows::wait(&mut emission.tx, claimed, &pass).await?;
        } else {
            rows::resolved(&mut emission.tx, claimed, settled.method.as_str()).await?;
        }
        // Edits of the same message, and others of the same thread, can go on now.
        let revealed: Vec<Revealed> = events
            .iter()
            .filter_map(Revealed::by)
            // This item has just been written; it must not be woken by itself.
            .filter(|_| item.num_edit > 0 || !keep_looking)
            .collect();
        waiting::reveal(&mut emission.tx, &revealed).await?;
        // In the order of the shards, so that neither waits for the other in a circle.
        wants::note(&mut emission.tx, &wants).await?;
        facts::follow_up::conversation_state::note(&mut emission.tx, &events, now).await?;
        emission.commit().await?;
        metrics::counter!("hookline_resolve_resolved_total", "method" => settled.method.as_str())
            .increment(1);
        metrics::histogram!("hookline_resolve_seconds")
            .record(now.since(item.received_at).as_secs_f64());
        tracing::info!(
            account.id = %item.account_id, message.id = %item.message_id, method = settled.method.as_str(),
            "Found the sender of a message by `{}`", settled.method.as_str()
        );
        Ok(())
    }

    async fn unresolved(
        &self,
        claimed: &Claimed,
        evidence: &Evidence,
        hint: Option<schemas::ContactId>,
        guesses: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let tried = ladder::tried(item, evidence);
        // Said once; once more when the conversation became known.
        let say = !item.unresolved || (item.unresolved_contact.is_none() && hint.is_some());
        let draft = outcome::unresolved(item, tried.clone(), hint.clone());
        let pass = Pass {
            state: State::Unresolved,
            due_at: ladder::again(
                item,
                evidence,
                now,
                self.waits.retry_min,
                self.waits.retry_max,
                rand::random(),
            ),
            counted: true,
            tried: &tried,
            guesses,
            gone: ladder::gone(item, evidence),
            unresolved: Some((
                draft.event.id.to_string(),
                hint.or_else(|| item.unresolved_contact.clone()),
            )),
            author: None,
        };
        if !say {
            return self.wait(claimed, &pass).await;
        }
        let mut emission = self.facts_of(claimed).begin(&[draft]).await?;
        rows::wait(&mut emission.tx, claimed, &pass).await?;
        emission.commit().await?;
        metrics::counter!("hookline_resolve_unresolved_total").increment(1);
        tracing::info!(
            account.id = %item.account_id, message.id = %item.message_id,
            "Nobody tells the sender of a message yet; it waits in worker.waiting"
        );
        Ok(())
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
        let pool = self.0.facts.pool();
        Ok(rows::claim(pool, &self.0.owner, CLAIM, free, SHARE, under_way).await?.into())
    }

    async fn keep(&self, claimed: &Claimed) -> Infallible {
        rows::keep(self.0.facts.pool(), &self.0.owner, &claimed.item, CLAIM).await
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
        let (min, max) = (self.0.waits.retry_min, self.0.waits.retry_max);
        let delay = runtime::retry::delay(min, max, 1, rand::random());
        rows::reschedule(self.0.facts.pool(), claimed, delay).await
    }

    fn unreadable(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The waiting room cannot be read; trying again");
    }

    fn lapses(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The claim on a waiting item lapses by itself");
    }
}

/// What a sealed resolution is bound to.
fn resolution_context(item: &Item) -> String {
    waiting::resolution_context(item.channel, &item.account_id, &item.message_id)
}
