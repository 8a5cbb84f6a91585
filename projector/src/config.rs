//! The configuration of the projector.

use std::net::SocketAddr;

use runtime::config::{ConfigError, NatsConfig, Settings};
use sqlx::PgPool;

/// Connections to Postgres: one writes, the others are for health checks and the lease.
const CONNECTIONS_MAX: u32 = 4;

/// The configuration of the role.
pub struct Config {
    /// The broker.
    pub nats: NatsConfig,
    /// `DATABASE_URL`, connected when first used.
    pub pool: PgPool,
    /// `ADMIN_LISTEN`: health and metrics.
    pub admin_listen: SocketAddr,
}

impl Config {
    /// Reads the variables. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            nats: NatsConfig::from_settings(settings)?,
            pool: runtime::db::pool(settings, "projector", CONNECTIONS_MAX)?,
            admin_listen: runtime::admin::address(settings)?,
        })
    }
}
