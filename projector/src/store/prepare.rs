//! Bringing the serving read model up to date before it is written or compared.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::error::{Fault, fault};
use super::schema::{SchemaName, migrate};
use super::serving::{install_views, serving};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(200);

/// Migrates the serving read model and its views; waits for Postgres. Returns the schema that the views show, `None` when the process is
/// to stop. A schema that is being built, or kept for `revert`, is migrated by the verb that takes it up.
///
/// # Errors
/// When a migration is wrong or the views cannot be replaced.
pub(crate) async fn prepare(
    pool: &PgPool,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<SchemaName>> {
    let schema = loop {
        if !runtime::db::wait(pool, shutdown).await {
            return Ok(None);
        }
        match serving(pool).await {
            Ok(schema) => break schema,
            Err(error) => tracing::debug!(%error, "The serving schema is asked for again"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    if !migrate(pool, &schema, shutdown).await? {
        return Ok(None);
    }
    loop {
        match install_views(pool).await {
            Ok(schema) => return Ok(Some(schema)),
            Err(error) if fault(&error) != Fault::Data => {
                if !runtime::db::wait(pool, shutdown).await {
                    return Ok(None);
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(anyhow::Error::new(error))
                    .context("replacing the views in schema `inbox`: drop what depends on them, or grant ownership");
            }
        }
    }
}
