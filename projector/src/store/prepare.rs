//! Bringing the serving read model up to date before it is written.

use std::time::Duration;

use anyhow::Context as _;
use runtime::db::{Fault, describe, fault};
use runtime::health::Health;
use runtime::retry::Backoff;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::schema::{SchemaName, migrate};
use super::serving::{install_views, serving};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(200);
/// The same, where somebody must act first.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// So many tries later another line is logged.
const REPORT_AGAIN: u32 = 30;
/// The check of `/readyz` that says whether tables and views are those of this release.
pub(crate) const CHECK: &str = "inbox_migrations";

/// Migrates the serving read model and its views; waits for Postgres. Returns the schema that the views show, `None` when the process is
/// to stop. A schema that is being built, or kept for `revert`, is migrated by the verb that takes it up. What does not pass is reported in
/// `health` and tried again until somebody has acted; without one (a verb) it is an error.
///
/// # Errors
/// When a migration is wrong or the views cannot be replaced.
pub(crate) async fn prepare(
    pool: &PgPool,
    shutdown: &CancellationToken,
    health: Option<&Health>,
) -> anyhow::Result<Option<SchemaName>> {
    let mut trouble = Trouble { health, backoff: Backoff::new(PAUSE, PAUSE_MAX) };
    let schema = loop {
        if !runtime::db::wait(pool, shutdown).await {
            return Ok(None);
        }
        match serving(pool).await {
            Ok(schema) => break schema,
            Err(error) => trouble.wait("asking which schema serves", error, shutdown).await?,
        }
    };
    if !migrate(pool, &schema, shutdown).await? {
        return Ok(None);
    }
    loop {
        if !runtime::db::wait(pool, shutdown).await {
            return Ok(None);
        }
        match install_views(pool).await {
            Ok(schema) => return Ok(Some(schema)),
            Err(error) => trouble.wait("replacing the views", error, shutdown).await?,
        }
    }
}

/// What stands in the way, and for how long already.
struct Trouble<'a> {
    health: Option<&'a Health>,
    backoff: Backoff,
}

impl Trouble<'_> {
    /// Reports the error and waits; less long where it passes by itself.
    async fn wait(
        &mut self,
        doing: &'static str,
        error: sqlx::Error,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        if matches!(fault(&error), Fault::Passing | Fault::TooMuch) {
            tracing::debug!(doing, %error, "Tried again");
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        }
        let reason = describe(&error);
        let Some(health) = self.health else {
            return Err(error).with_context(|| format!("schema `inbox`: {doing}: {reason}"));
        };
        let pause = self.backoff.next(rand::random());
        if self.backoff.attempts() % REPORT_AGAIN == 1 {
            tracing::error!(
                doing,
                reason,
                "Schema `inbox` cannot be brought up to date, and will not until somebody acts"
            );
        }
        health.set(CHECK, Err(format!("{doing}: {reason}")));
        shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
        Ok(())
    }
}
