//! `hookline ops`: the role that does for the api what operators ask by HTTP, with the functions of the verbs and the operator's
//! rights (docs/decisions/50). Requests and answers go over a subject of no stream.

mod carry;
mod drive;
mod plan;
mod refusal;
mod work;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ops::{Answer, Asked, Ops, Why};
use runtime::broker::{Broker, may_subscribe};
use runtime::config::{NatsConfig, Settings};
use runtime::health::{self, Health};
use runtime::vouch::{self, Vouch};
use runtime::{BoxFuture, admin};
use schemas::subjects;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::carry::Carrier;

/// The name of the check, and of the group that shares the requests.
const CHECK: &str = "ops";
/// Connections to Postgres of the role alone.
const CONNECTIONS_MAX: u32 = 8;
/// How often the rights of the api are looked at, until the worker's schema is there.
const LOOK: Duration = Duration::from_secs(2);
/// What is under way at the stop may take so long: the process has 10 s in all.
const DRAIN: Duration = Duration::from_secs(7);
/// Requests that are carried out at once.
const AT_ONCE: usize = 8;

/// Runs the role with its own admin listener until `shutdown`.
///
/// # Errors
/// When a variable cannot be used or a migration is wrong. NATS or Postgres being away is no error: it waits.
pub(crate) async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (admin, health) = (admin::address(&settings)?, Health::new());
    // Whatever ends the work ends what watches for it.
    let shutdown = shutdown.child_token();
    let work = connect_and_answer(settings, health.clone(), shutdown.clone());
    admin::beside(admin, &health, &shutdown, Box::pin(work)).await
}

/// Answers in the process of `hookline api`, where its user of Postgres may do what an operator may: one user for everything needs no role of
/// its own. With a role for each service (docs/decisions/42) it may not, and returns.
///
/// # Errors
/// As [`run`].
pub(crate) async fn beside_api(
    settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let pool = runtime::db::pool(&settings, "operator", 1)?;
    let may = loop {
        match may_operate(&pool).await {
            Ok(Some(may)) => break may,
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "Whether the api may answer operators is not known yet")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    };
    pool.close().await;
    if !may {
        tracing::info!("`/v1/ops` is answered by the role `hookline ops`");
        return Ok(());
    }
    let config = NatsConfig::from_settings(&settings)?;
    loop {
        match may_subscribe("ops", &config, subjects::OPS, CHECK).await {
            Ok(true) => break,
            Ok(false) => return Ok(()),
            Err(error) => {
                tracing::debug!(%error, "Whether the api may answer operators is not known yet")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
    // The api goes on whatever becomes of it.
    let stop = shutdown.child_token();
    if let Err(error) = connect_and_answer(settings, Health::new(), stop).await {
        tracing::error!(error = %format!("{error:#}"), "`/v1/ops` is not answered by this process");
    }
    Ok(())
}

/// `None`: the worker has not made its schema yet.
async fn may_operate(pool: &PgPool) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar(
        "select case when to_regnamespace('worker') is not null then
                    has_schema_privilege('worker', 'create')
                    and coalesce((select pg_has_role(n.nspowner, 'member') from pg_namespace n where n.nspname = 'ops'), true) end",
    )
    .fetch_one(pool)
    .await
}

async fn connect_and_answer(
    settings: Settings,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let pool = runtime::db::pool(&settings, "operator", CONNECTIONS_MAX)?;
    let config = NatsConfig::from_settings(&settings)?;
    let stored = Arc::new(projector::eras::Eras::new(pool.clone()));
    let broker =
        Broker::connect_knowing("ops", config, projector::NEEDS, stored, shutdown.clone()).await?;
    health::watch_broker(&health, &broker, shutdown.clone());
    health::watch_postgres(&health, &pool, shutdown.clone());
    let outcome = answer(&settings, broker, pool, health, shutdown.clone()).await;
    shutdown.cancel();
    outcome
}

/// Answers until `shutdown`, for processes that run several roles on one broker, pool and listener.
///
/// # Errors
/// When `ENCRYPTION_KEY` cannot be used, or a migration of schema `ops` is wrong.
pub(crate) fn answer(
    settings: &Settings,
    broker: Broker,
    pool: PgPool,
    health: Health,
    shutdown: CancellationToken,
) -> BoxFuture<'static, anyhow::Result<()>> {
    let vouch = vouch_of(settings);
    Box::pin(async move {
        health.set(CHECK, Err("schema `ops` is not migrated yet".to_owned()));
        let listener = Listener { vouch: vouch?, carrier: Carrier::new(broker, pool) };
        Arc::new(listener).listen(&health, &shutdown).await
    })
}

/// Only what the api vouches for is done: whoever else may publish is no operator.
fn vouch_of(settings: &Settings) -> anyhow::Result<Vouch> {
    let key = settings.require("ENCRYPTION_KEY")?;
    Ok(Vouch::from_hex(key)
        .ok_or_else(|| settings.invalid("ENCRYPTION_KEY", "it cannot be used".to_owned()))?)
}

struct Listener {
    vouch: Vouch,
    carrier: Carrier,
}

impl Listener {
    async fn listen(
        self: Arc<Self>,
        health: &Health,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let client = self.carrier.broker.client().clone();
        let opened = tokio::select! {
            opened = Ops::open(self.carrier.pool.clone()) => opened,
            () = shutdown.cancelled() => return Ok(()),
        };
        opened?;
        let mut asked = client.queue_subscribe(subjects::OPS, CHECK.to_owned()).await?;
        health.set(CHECK, Ok(()));
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        let (broker, pool) = (self.carrier.broker.clone(), self.carrier.pool.clone());
        let mut driving = tokio::spawn(drive::drive(broker, pool, shutdown.clone()));
        loop {
            let message = tokio::select! {
                message = asked.next() => message,
                Some(_) = running.join_next() => continue,
                ended = &mut driving, if !shutdown.is_cancelled() => {
                    ended.map_err(|error| anyhow::anyhow!(runtime::telemetry::task_end(&error)))?;
                    break;
                }
                () = shutdown.cancelled() => break,
            };
            // The client ends only with its connection for good.
            let Some(message) = message else { break };
            let (listener, places) = (self.clone(), places.clone());
            running.spawn(async move {
                let _place = places.acquire_owned().await;
                listener.one(message).await;
            });
        }
        let finished = async {
            while running.join_next().await.is_some() {}
            if !driving.is_finished() {
                let _ = driving.await;
            }
        };
        // What is not finished by then is not answered: the api reports that nobody knows.
        let _ = tokio::time::timeout(DRAIN, finished).await;
        Ok(())
    }

    /// Carries one request out and answers it.
    async fn one(&self, message: async_nats::Message) {
        let Some(reply) = message.reply.clone() else { return };
        let client = self.carrier.broker.client();
        let answer = match self.understood(&message) {
            Ok(asked) => self.carrier.carry_out(asked).await,
            Err(refused) => refused,
        };
        // A struct of texts and JSON can always be written.
        let mut bytes = serde_json::to_vec(&answer).unwrap_or_default();
        let most = client.server_info().max_payload;
        if bytes.len() > most {
            let text = format!(
                "the answer has {} bytes, and the broker takes {most}: use the verb of `hookline`",
                bytes.len()
            );
            bytes = serde_json::to_vec(&Answer::refused(Why::TooLarge, text)).unwrap_or_default();
        }
        let sent = async {
            client.publish(reply, bytes.into()).await.map_err(|error| error.to_string())?;
            client.flush().await.map_err(|error| error.to_string())
        };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(5), sent).await {
            tracing::warn!(error, "An answer for the api was not sent");
        }
    }

    fn understood(&self, message: &async_nats::Message) -> Result<Asked, Answer> {
        let said = message.headers.as_ref().and_then(|all| all.get(vouch::HEADER));
        if !self.vouch.holds(&message.payload, said.map(|value| value.as_str())) {
            tracing::warn!("A request for an operator is not vouched for by the api; not done");
            let text = "the request is not vouched for: api and ops need the same ENCRYPTION_KEY";
            return Err(Answer::refused(Why::NotUnderstood, text));
        }
        serde_json::from_slice(&message.payload).map_err(|_| {
            let text =
                "the request is of another release: start the role `ops` of the api's release";
            Answer::refused(Why::NotUnderstood, text)
        })
    }
}
