//! The only code that calls Meta: raw webhooks become events, senders are found, profiles read, commands carried out.
//!
//! The role over five crates in its folder, so that the compiler keeps the walls: [`facts`] (publish once), [`graph`] (the only client
//! of Graph), [`inbound`] (webhooks become events; sees neither `graph` nor `outbound`, so a replay cannot send), [`outbound`]
//! (commands) and [`endpoints`] (outgoing webhooks). Here are the loops that need both sides: [`resolve`], [`enrich`], [`completeness`], [`connect`] and [`upkeep`], [`trace`], and [`recover`].

mod callbacks;
pub mod completeness;
pub mod config;
pub mod connect;
pub mod enrich;
pub mod eras;
pub mod erase;
pub mod readers;
pub mod recover;
pub mod rekey;
pub mod resolve;
mod shares;
pub mod trace;
pub mod upkeep;

use std::sync::Arc;

use runtime::BoxFuture;
use runtime::broker::{Broker, Needs};
use runtime::config::Settings;
use runtime::health::{self, Health};
use runtime::lease::Leases;
use runtime::streams::StreamName;
use runtime::{admin, db, telemetry};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use {facts, graph, inbound, outbound};

/// The streams the worker reads and writes.
pub const NEEDS: Needs = Needs { streams: &StreamName::ALL, best_effort: false };
const CONNECTIONS_MAX: u32 = 40;

/// Runs the role with its own admin listener until `shutdown`.
///
/// # Errors
/// When the configuration cannot be used or a migration is wrong. NATS or Postgres being away is no error: it
/// waits.
pub fn run(
    settings: Settings,
    shutdown: CancellationToken,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(serve_and_work(settings, shutdown))
}

async fn serve_and_work(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let config = Config::from_settings(&settings)?;
    config.reread_secrets(&shutdown)?;
    let pool = db::pool_by_index(&settings, "worker", CONNECTIONS_MAX)?;
    let (admin, health) = (admin::address(&settings)?, Health::new());
    let work = connect_and_work(config, pool, health.clone(), shutdown.clone());
    admin::beside(admin, &health, &shutdown, Box::pin(work)).await
}

async fn connect_and_work(
    config: Config,
    pool: PgPool,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let stored = Arc::new(facts::eras::Eras::new(pool.clone()));
    let nats = config.nats.clone();
    let broker = Broker::connect_knowing("worker", nats, NEEDS, stored, shutdown.clone()).await?;
    health::watch_broker(&health, &broker, shutdown.clone());
    health::watch_postgres(&health, &pool, shutdown.clone());
    let outcome = work(config, broker, pool, health, shutdown.clone()).await;
    // Whatever ended the work ends what watches for it.
    shutdown.cancel();
    outcome
}

/// Brings schema `worker` up to date. `Ok(false)`: `shutdown` came first.
///
/// # Errors
/// When a migration is wrong.
pub async fn migrate(pool: &PgPool, shutdown: &CancellationToken) -> anyhow::Result<bool> {
    db::migrate(pool, "worker", sqlx::migrate!("./migrations"), shutdown).await
}

/// Whether schema `worker` is there: a verb that only reads makes none.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn is_there(pool: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regclass('worker.commands') is not null").fetch_one(pool).await
}

/// Migrates and works until `shutdown`, for processes that run several roles on one broker and listener.
///
/// # Errors
/// When a migration is wrong or the Graph client cannot be built.
pub fn work(
    config: Config,
    broker: Broker,
    pool: PgPool,
    health: Health,
    shutdown: CancellationToken,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(migrate_and_work(config, broker, pool, health, shutdown))
}

/// Whether the work may begin; `false`: `shutdown` came first.
async fn is_ready(
    broker: &Broker,
    pool: &PgPool,
    health: &Health,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    const MIGRATIONS: &str = "worker_migrations";
    health.set(MIGRATIONS, Err("schema `worker` is not migrated yet".to_owned()));
    if !migrate(pool, shutdown).await? {
        return Ok(false);
    }
    health.set(MIGRATIONS, Ok(()));
    Ok(recover::gate::open(pool, broker, health, shutdown).await)
}

async fn migrate_and_work(
    config: Config,
    broker: Broker,
    pool: PgPool,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if !is_ready(&broker, &pool, &health, &shutdown).await? {
        return Ok(());
    }
    let waits = config.waits;
    let owner = format!("worker-{}-{:016x}", std::process::id(), rand::random::<u64>());
    let leases = Leases::new(pool.clone(), "worker", owner.clone(), waits.lease);
    let facts = facts::FactStore::new(broker.clone(), pool.clone(), config.seal.clone());
    let accounts = facts::accounts::AccountStore::new(pool.clone(), config.seal.clone());
    let graph = graph::Graph::of_worker(config.graph.clone(), pool.clone())?;

    let mut tasks = JoinSet::new();
    tasks.spawn(graph.clone().share_budget(pool.clone(), shutdown.clone()));
    let inbound = inbound::Inbound {
        broker: broker.clone(),
        facts: facts.clone(),
        leases: leases.clone(),
        health: health.clone(),
        twin_grace: waits.twin_grace,
        retry_min: waits.retry_min,
        retry_max: waits.retry_max,
    };
    tasks.spawn(inbound.run(shutdown.clone()));
    let resolver = resolve::Resolver::new(
        facts.clone(),
        accounts.clone(),
        config.seal.clone(),
        graph.clone(),
        waits,
        owner.clone(),
    );
    let stop = shutdown.clone();
    tasks.spawn(async move { resolver.run(stop).await });
    let enricher =
        enrich::Enricher::new(facts.clone(), accounts.clone(), graph.clone(), waits, owner.clone());
    let stop = shutdown.clone();
    tasks.spawn(async move { enricher.run(stop).await });
    let compare = completeness::Completeness::new(&facts, &accounts, &graph, &owner, &waits);
    tasks.spawn(compare.run(shutdown.clone()));
    let connector = connect::Connector::new(&pool, &accounts, &graph, &config, &owner);
    tasks.spawn(connector.run(shutdown.clone()));
    let (handover, handed_over) = outbound::handover();
    let commands = outbound::Commands {
        broker: broker.clone(),
        pool: pool.clone(),
        leases: leases.clone(),
        health: health.clone(),
        vouch: config.vouch.clone(),
        handover,
    };
    tasks.spawn(commands.run(shutdown.clone()));
    let upkeep = upkeep::Upkeep::new(&broker, &pool, &accounts, &graph, &leases);
    tasks.spawn(upkeep.run(shutdown.clone()));
    let callbacks = callbacks::Callbacks::new(&broker, &accounts, &leases, &health);
    tasks.spawn(callbacks.run(shutdown.clone()));
    let after = waits.erase_unsent_after;
    let eraser = erase::Eraser::new(&broker, &facts, &leases, &health, after);
    tasks.spawn(eraser.run(shutdown.clone()));
    tasks.spawn(deliveries(&config, &broker, &pool, &leases)?.run(shutdown.clone()));
    let automate = outbound::automate::Automate {
        broker: broker.clone(),
        pool: pool.clone(),
        leases,
        health: health.clone(),
        max_age: waits.auto_reply_max_age,
    };
    tasks.spawn(automate.run(shutdown.clone()));
    tasks.spawn(
        outbound::Sender::new(pool, broker, graph, accounts, facts, owner, waits.outbound()).run(
            handed_over,
            health,
            shutdown.clone(),
        ),
    );

    all_end(tasks, &shutdown).await
}

fn deliveries(
    config: &Config,
    broker: &Broker,
    pool: &PgPool,
    leases: &Leases,
) -> anyhow::Result<endpoints::Endpoints> {
    Ok(endpoints::Endpoints {
        broker: broker.clone(),
        pool: pool.clone(),
        leases: leases.clone(),
        seal: config.seal.clone(),
        client: delivery::Client::new(config.allow.clone())?,
    })
}

async fn all_end(mut tasks: JoinSet<()>, shutdown: &CancellationToken) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            // A bug. The others finish what they hold; then the process ends, and a supervisor starts it anew.
            shutdown.cancel();
            while tasks.join_next().await.is_some() {}
            anyhow::bail!("a part of the worker broke down: {}", telemetry::task_end(&error));
        }
    }
    Ok(())
}
