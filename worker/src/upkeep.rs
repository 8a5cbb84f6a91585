//! Keeps accounts connected by itself: asks for webhook fields, looks at tokens every day, replaces those that end.
//!
//! One worker at a time, under a lease. What is due follows from the rows of the accounts (`plan`, pure), so nothing is lost with a process:
//! a try is written down before it is made, and a new token is stored before it is used.

mod forget;
mod plan;
mod silence;

use std::time::Duration;

use facts::accounts::AccountStore;
use facts::accounts::seen;
use facts::accounts::upkeep::{self, Standing};
use graph::{Graph, UpkeepError};
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::lease::Leases;
use runtime::waits;
use schemas::Timestamp;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use plan::{Urgency, urgency};
pub use silence::{silent_fields, silent_since};

use plan::Task;

const NAME: &str = "upkeep";
/// Accounts of one round.
const ROUND: i64 = 50;
/// An account whose row cannot be read or stored is left alone for this long.
const AFTER_ERROR: Duration = Duration::from_secs(3_600);
const DAY_SECONDS: f64 = 86_400.0;

/// Keeps accounts connected.
#[derive(Clone)]
pub(crate) struct Upkeep {
    broker: Broker,
    pool: PgPool,
    accounts: AccountStore,
    graph: Graph,
    leases: Leases,
}

impl Upkeep {
    pub(crate) fn new(
        broker: &Broker,
        pool: &PgPool,
        accounts: &AccountStore,
        graph: &Graph,
        leases: &Leases,
    ) -> Self {
        Self {
            broker: broker.clone(),
            pool: pool.clone(),
            accounts: accounts.clone(),
            graph: graph.clone(),
            leases: leases.clone(),
        }
    }

    /// Works whenever this worker holds the lease, until `shutdown`.
    pub(crate) fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let leases = self.leases.clone();
            leases
                .while_held(NAME, shutdown, |_, stop| {
                    let upkeep = self.clone();
                    async move { upkeep.rounds(&stop).await }
                })
                .await;
        })
    }

    async fn rounds(&self, stop: &CancellationToken) {
        let pause: Duration = waits::UPKEEP.get();
        loop {
            // First the pause: a worker that is started over and over does not ask Meta each time.
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let before = async {
                seen::note(&self.pool).await?;
                self.measure().await?;
                self.accounts.upkeep_missing().await?;
                anyhow::Ok(self.accounts.upkeep_due(ROUND).await?)
            };
            let due = tokio::select! {
                () = stop.cancelled() => return,
                due = before => due,
            };
            let forgotten = tokio::select! {
                () = stop.cancelled() => return,
                forgotten = forget::forget(&self.broker, &self.pool) => forgotten,
            };
            if let Err(error) = forgotten {
                tracing::debug!(
                    error = format!("{error:#}"),
                    "Could not forget old rows; trying again"
                );
            }
            match due {
                Ok(due) => self.tend_all(&due, stop).await,
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "Could not look after the accounts; trying again"
                    );
                }
            }
        }
    }

    /// The error of one account does not stop the work for the others. A stop waits for the account at hand: a new token that Meta has just
    /// given is stored.
    async fn tend_all(&self, due: &[Standing], stop: &CancellationToken) {
        for standing in due {
            if stop.is_cancelled() {
                return;
            }
            let (channel, id) = (standing.channel, &standing.id);
            let Err(error) = self.tend(standing).await else { continue };
            tracing::warn!(
                account.id = %id, error = format!("{error:#}"), "Could not look after account `{id}`; trying again in an hour"
            );
            let at = runtime::now().plus(AFTER_ERROR);
            if let Err(error) = self.accounts.upkeep_again(channel, id, at).await {
                tracing::warn!(account.id = %id, error = format!("{error:#}"), "Could not put account `{id}` off");
            }
        }
    }

    /// Does what is due for one account, and writes down when it is to be looked at again.
    async fn tend(&self, standing: &Standing) -> anyhow::Result<()> {
        let (channel, id) = (standing.channel, &standing.id);
        let done = match plan::next(standing, runtime::now()) {
            Err(at) => return Ok(self.accounts.upkeep_again(channel, id, at).await?),
            Ok(task) => self.carry_out(standing, task).await,
        };
        match done {
            Ok(()) => {}
            Err(UpkeepError::Graph(error)) => {
                tracing::warn!(account.id = %id, %error, "Could not look after account `{id}`");
            }
            Err(error) => return Err(error.into()),
        }
        let Some(now) = self.accounts.standing(channel, id).await? else { return Ok(()) };
        let at = match plan::next(&now, runtime::now()) {
            Ok(_) => runtime::now(),
            Err(at) => at,
        };
        Ok(self.accounts.upkeep_again(channel, id, at).await?)
    }

    async fn carry_out(&self, standing: &Standing, task: Task) -> Result<(), UpkeepError> {
        let Some(connected) = self.accounts.get(standing.channel, &standing.id).await? else {
            return Ok(());
        };
        match task {
            Task::Confirm => {
                graph::confirm(&self.graph, &self.accounts, &connected).await.map(drop)
            }
            Task::Refresh => {
                graph::refresh(&self.graph, &self.accounts, &connected).await.map(drop)
            }
            Task::Look => graph::look(&self.graph, &self.accounts, &connected).await.map(drop),
        }
    }

    /// Days left, withheld fields and silence, by account.
    async fn measure(&self) -> anyhow::Result<()> {
        let now = runtime::now();
        for one in upkeep::attention(&self.pool).await? {
            let account = one.id.to_string();
            #[allow(clippy::cast_precision_loss)] // a few
            metrics::gauge!("hookline_account_fields_withheld", "account" => account.clone())
                .set(one.withheld.len() as f64);
            let silent = silent_since(&one, now).is_some();
            metrics::gauge!("hookline_account_silent", "account" => account.clone())
                .set(f64::from(u8::from(silent)));
            let fields = silent_fields(&one, now);
            for heard in one.heard.iter().filter(|heard| !heard.field.is_empty()) {
                let silent = fields.iter().any(|(field, _)| *field == heard.field);
                metrics::gauge!("hookline_account_field_silent", "account" => account.clone(), "field" => heard.field.clone())
                    .set(f64::from(u8::from(silent)));
            }
            let Some(ends) = one.token_ends.filter(|_| one.state != "disconnected") else {
                continue;
            };
            metrics::gauge!("hookline_account_token_days_left", "account" => account)
                .set(days_left(ends, now));
        }
        Ok(())
    }
}

/// Days until a token ends; negative once it has.
pub fn days_left(ends: Timestamp, now: Timestamp) -> f64 {
    #[allow(clippy::cast_precision_loss)] // days
    let seconds = (ends.as_millis() - now.as_millis()) as f64 / 1_000.0;
    seconds / DAY_SECONDS
}
