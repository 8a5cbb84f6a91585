//! The projector: follows INBOX_EVENTS and keeps the read model `inbox.*` in Postgres.
//!
//! Read in this order: `config`, `read`, `fold` and `batch` (pure), `store`, `apply`, `follow`, [`parked`]; then what operators ask for:
//! [`status`], [`trace`], [`rebuild`], [`verify`], [`redrive`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod announce;
mod apply;
mod batch;
pub mod composed;
mod config;
pub mod eras;
mod fold;
mod follow;
pub mod in_memory;
mod meters;
pub mod parked;
mod read;
pub mod rebuild;
pub mod redrive;
pub mod status;
mod store;
pub mod trace;
pub mod verify;
mod worker_view;

use std::sync::Arc;

use runtime::broker::{Broker, Needs};
use runtime::health::{self, Health};
use runtime::streams::StreamName;
use runtime::{BoxFuture, admin};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use follow::Projector;
pub use read::read;
pub use store::{NAME, SchemaName, Store, StoreError};

/// The streams the projector reads.
pub const NEEDS: Needs = Needs { streams: &[StreamName::Events], best_effort: false };

/// Runs the role with its own admin listener until `shutdown`.
///
/// # Errors
/// When the broker's options cannot work, or a migration is wrong. NATS or Postgres being away is no error: it waits.
pub fn run(config: Config, shutdown: CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(serve_and_project(config, shutdown))
}

async fn serve_and_project(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    // Whatever ends the work ends what watches for it, and only this role.
    let shutdown = shutdown.child_token();
    let (admin, health) = (config.admin_listen, Health::new());
    let work = connect_and_project(config, health.clone(), shutdown.clone());
    admin::beside(admin, &health, &shutdown, Box::pin(work)).await
}

async fn connect_and_project(
    config: Config,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let stored = Arc::new(eras::Eras::new(config.pool.clone()));
    let broker =
        Broker::connect_knowing("projector", config.nats, NEEDS, stored, shutdown.clone()).await?;
    health::watch_broker(&health, &broker, shutdown.clone());
    health::watch_postgres(&health, &config.pool, shutdown.clone());
    let outcome = project(broker, config.pool, health, shutdown.clone()).await;
    shutdown.cancel();
    outcome
}

/// Migrates the serving read model and its public views. `Ok(false)`: `shutdown` came first.
///
/// # Errors
/// When a migration is wrong or the views cannot be replaced.
pub async fn migrate(pool: &PgPool, shutdown: &CancellationToken) -> anyhow::Result<bool> {
    Ok(store::prepare(pool, shutdown, None).await?.is_some())
}

/// Migrates and projects until `shutdown`, for processes that run several roles on one broker, pool and listener.
///
/// # Errors
/// When a migration is wrong.
pub fn project(
    broker: Broker,
    pool: PgPool,
    health: Health,
    shutdown: CancellationToken,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(migrate_and_project(broker, pool, health, shutdown))
}

async fn migrate_and_project(
    broker: Broker,
    pool: PgPool,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    health.set(store::CHECK, Err("schema `inbox` is not migrated yet".to_owned()));
    let owner = owner();
    // Once more whenever a rebuild was swapped in: each time the schema that serves then.
    while let Some(schema) = store::prepare(&pool, &shutdown, Some(&health)).await? {
        health.set(store::CHECK, Ok(()));
        let store = Store::new(pool.clone(), &schema, owner.clone());
        Projector::new(broker.clone(), store, health.clone()).run(shutdown.clone()).await;
        if shutdown.is_cancelled() {
            break;
        }
        tracing::info!("Another schema than `{schema}` serves now; going on with that one");
    }
    Ok(())
}

/// Unique per process and start.
fn owner() -> String {
    format!("projector-{}-{:016x}", std::process::id(), rand::random::<u64>())
}
