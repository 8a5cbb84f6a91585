//! The inbox API (docs/contract.md 7): reads the read model, publishes commands and acts of people, pushes events live.
//!
//! Read in this order: `config`, `auth`, `problem`, `extract`, `time`, `turns`, `status`, `cursor`, `list`, `projected`, `syncs`, `imports`, `app`, `requests`, `publish`, `act`, `commands`, `layers`,
//! `openapi`, `router`, then one file per resource: `conversations`, `messages`, `replies`, `acts`, `contacts`, `blocklist`, `comments`,
//! `mentions`, `feed`, `accounts`, `insights`, `conversions`, `templates`, `endpoints` and `live`. `operate` is for operators, `json_schemas` for everybody. For browsers: `html`, `session`, `connect` and `console`. Statements stand in the file of their
//! resource or in `rows.rs` below it; those over the worker's schema in `worker_views`.
//!
//! It never calls Meta and never writes to the read model: what it wants done, it publishes, or leaves to the worker in a view.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::net::SocketAddr;
use std::sync::Arc;

use runtime::broker::{Broker, Needs};
use runtime::config::Settings;
use runtime::health::{self, Health};
use runtime::serve::{self, Limits};
use runtime::streams::StreamName;
use runtime::{BoxFuture, admin, db};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod accounts;
mod act;
mod acts;
mod app;
mod auth;
mod blocklist;
mod commands;
mod comments;
mod config;
mod connect;
mod console;
mod contacts;
mod conversations;
mod conversions;
mod cursor;
mod deletion;
pub mod endpoints;
mod eras;
mod etag;
mod extract;
mod feed;
mod from_graph;
mod html;
mod imports;
mod insights;
mod json_schemas;
mod labels;
mod layers;
mod list;
mod live;
mod media;
mod mentions;
mod messages;
mod notes;
mod openapi;
mod operate;
mod problem;
mod projected;
mod publish;
mod replies;
mod requests;
mod router;
mod saved_replies;
mod session;
mod snooze;
mod status;
mod sweep;
mod syncs;
mod templates;
mod time;
mod turns;
mod worker_views;

use app::App;
use auth::Tokens;
pub use config::Config;
use list::Totals;
use live::source::Live;
use projected::Projected;
pub use session::{connects_of, make_link};

/// Connections to Postgres of one process.
const CONNECTIONS_MAX: u32 = 16;

/// An API that listens but does not answer yet.
pub struct Api {
    listener: TcpListener,
    local_addr: SocketAddr,
    config: Config,
    settings: Settings,
    pool: PgPool,
}

impl Api {
    /// Reads the configuration and takes the port.
    ///
    /// # Errors
    /// One line naming the variable that is wrong.
    pub async fn bind(settings: Settings) -> anyhow::Result<Self> {
        let config = Config::from_settings(&settings)?;
        let pool = db::pool(&settings, "api", CONNECTIONS_MAX)?;
        let listener = serve::bind("API_LISTEN", config.listen).await?;
        let local_addr = listener.local_addr()?;
        Ok(Self { listener, local_addr, config, settings, pool })
    }

    /// Where it listens: with the port it got where `API_LISTEN` asked for any.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `shutdown`. Waits for NATS and Postgres in the background: until they are there, `health` says what is missing and
    /// `/v1` answers 503.
    ///
    /// # Errors
    /// When the configuration cannot work, or the database was migrated by a changed file.
    pub fn run(
        self,
        health: Health,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self.answer(health, shutdown))
    }

    async fn answer(self, health: Health, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { listener, local_addr, config, settings, pool } = self;
        let tokens = config.tokens.clone();
        runtime::reload::on_hangup("api", settings, shutdown.clone(), move |now| {
            tokens.set(Tokens::from_settings(now)?);
            Ok(())
        })?;
        if config.tokens.get().is_empty() {
            tracing::warn!("API_TOKENS is not set: every request to /v1 is refused");
        }
        let needs =
            Needs { streams: &[StreamName::Events, StreamName::Commands], best_effort: false };
        let stored = Arc::new(eras::Eras::new(pool.clone()));
        let broker =
            Broker::connect_knowing("api", config.nats, needs, stored, shutdown.clone()).await?;
        health.set("migrations", Err("not done yet".to_owned()));
        health::watch_broker(&health, &broker, shutdown.clone());
        health::watch_postgres(&health, &pool, shutdown.clone());
        let projected = Projected::follow(pool.clone(), health.clone(), shutdown.clone());
        let live = Live::start(pool.clone(), broker.clone(), projected.clone(), shutdown.clone());
        let app = Arc::new(App {
            pool: pool.clone(),
            broker,
            projected,
            live,
            tokens: config.tokens,
            cursors: config.cursors,
            totals: Totals::default(),
            searches: conversations::search::turns(),
            syncs: syncs::Syncs::default(),
            vouch: config.vouch,
            delivery: delivery::Client::new(config.allow)?,
            browser: config.browser,
            stopping: shutdown.clone(),
        });
        let router = router::router(app.clone(), &health);
        // A failed migration stops the role, so that it is seen.
        let stop = shutdown.child_token();
        let served = tokio::spawn(serve::serve(listener, router, Limits::default(), stop.clone()));
        tracing::info!(address = %local_addr, "The inbox API listens on http://{local_addr}, its description is at /docs");
        let migrated = migrate(&pool, &shutdown).await;
        match &migrated {
            Ok(true) => {
                health.set("migrations", Ok(()));
                tokio::spawn(sweep::run(app));
            }
            Ok(false) => {}
            Err(_) => stop.cancel(),
        }
        served.await?;
        pool.close().await;
        migrated.map(|_| ())
    }
}

/// Brings schema `api` up to date. `Ok(false)`: `shutdown` came first.
///
/// # Errors
/// When a migration is wrong.
pub async fn migrate(pool: &PgPool, shutdown: &CancellationToken) -> anyhow::Result<bool> {
    db::migrate(pool, "api", sqlx::migrate!("./migrations"), shutdown).await
}

/// The whole role: binds, then runs until `shutdown`.
///
/// # Errors
/// As [`Api::bind`] and [`Api::run`].
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let admin = admin::address(&settings)?;
    let (api, health) = (Api::bind(settings).await?, Health::new());
    let work = api.run(health.clone(), shutdown.clone());
    admin::beside(admin, &health, &shutdown, work).await
}
