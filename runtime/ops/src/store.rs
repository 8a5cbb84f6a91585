//! Opening schema `ops`.

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// The tables of schema `ops`.
#[derive(Clone, Debug)]
pub struct Ops {
    pool: PgPool,
}

impl Ops {
    /// Brings schema `ops` up to date and opens it. Waits for Postgres.
    ///
    /// # Errors
    /// When a migration is wrong or Postgres refuses it.
    pub async fn open(pool: PgPool) -> anyhow::Result<Self> {
        let never = CancellationToken::new();
        runtime::db::migrate(&pool, "ops", sqlx::migrate!("./migrations"), &never).await?;
        Ok(Self { pool })
    }

    /// Opens schema `ops` as it is: for verbs that only read. A schema that is not there yet has no jobs and no acts.
    pub const fn as_it_is(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The database of the jobs: a job ends in the transaction of its record.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }
}
