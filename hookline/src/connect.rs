//! Connections for one verb: within seconds, or exit code 4.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use sqlx::PgPool;

use crate::exit::Failure;

/// How long a verb waits for a dependency.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A client with its JetStream context.
///
/// # Errors
/// Exit code 4 where the broker does not answer.
pub(crate) async fn broker(
    config: &NatsConfig,
) -> anyhow::Result<(async_nats::Client, jetstream::Context)> {
    runtime::tls::install();
    let options =
        async_nats::ConnectOptions::new().name("hookline-operator").connection_timeout(PATIENCE);
    let (options, servers) = runtime::broker::identify(options, config).await?;
    match tokio::time::timeout(PATIENCE, options.connect(servers)).await {
        Ok(Ok(client)) => Ok((client.clone(), jetstream::new(client))),
        Ok(Err(error)) => {
            Err(Failure::unreachable(format!("NATS_URL: the broker cannot be reached: {error}")))
        }
        Err(_) => Err(Failure::unreachable("NATS_URL: the broker does not answer")),
    }
}

/// Waits until a broker that connects by itself is connected.
///
/// # Errors
/// Exit code 4 where the broker does not answer.
pub(crate) async fn connected(broker: &Broker) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !broker.is_connected() {
        if Instant::now() > deadline {
            return Err(Failure::unreachable("NATS_URL: the broker does not answer"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Exit code 4 for an error of the broker in the middle of a verb.
pub(crate) fn broker_error(error: &impl std::fmt::Display) -> anyhow::Error {
    Failure::unreachable(format!("the broker: {error}"))
}

/// Makes sure that there is something to read. A verb that only reads migrates nothing: it may be of another release than the worker.
///
/// # Errors
/// Exit code 4 where no worker has made its tables yet.
pub(crate) async fn made_by_worker(pool: &PgPool) -> anyhow::Result<()> {
    if worker::is_there(pool).await? {
        return Ok(());
    }
    Err(Failure::unreachable("schema `worker` is not there yet: start the worker once"))
}

/// A pool that answers.
///
/// # Errors
/// Exit code 4 where Postgres does not answer.
pub(crate) async fn postgres(settings: &Settings) -> anyhow::Result<PgPool> {
    let pool = runtime::db::pool(settings, "operator", 4)?;
    match tokio::time::timeout(PATIENCE, sqlx::query("select 1").execute(&pool)).await {
        Ok(Ok(_)) => Ok(pool),
        Ok(Err(error)) => {
            let error = runtime::db::refusal(&pool, error).await;
            Err(Failure::unreachable(format!("DATABASE_URL: Postgres cannot be reached: {error}")))
        }
        // The pool goes on trying for longer.
        Err(_) => match runtime::db::refusal(&pool, sqlx::Error::PoolTimedOut).await {
            sqlx::Error::PoolTimedOut => {
                Err(Failure::unreachable("DATABASE_URL: Postgres does not answer"))
            }
            error => {
                let reason = format!("DATABASE_URL: Postgres cannot be reached: {error}");
                Err(Failure::unreachable(reason))
            }
        },
    }
}
