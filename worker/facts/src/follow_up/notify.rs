//! Waking resolvers over Postgres: what an event revealed is acted on at once, not at the next poll.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};

const CHANNEL: &str = "worker_resolve";

/// Rings with the commit of the caller's transaction.
pub(super) async fn ring(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(conn).await?;
    Ok(())
}

/// Hears the bell; where it cannot, the poll does.
pub struct Bell {
    pool: PgPool,
    listener: Option<PgListener>,
}

impl Bell {
    /// Connects at the first wait.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, listener: None }
    }

    /// Waits for the bell, at most `longest`.
    pub async fn wait(&mut self, longest: Duration) {
        let rung = async {
            if self.listener.is_none() {
                self.listener = listen(&self.pool).await.ok();
            }
            let alive = match &mut self.listener {
                Some(listener) => {
                    let alive = listener.recv().await.is_ok();
                    // One look serves all that have rung meanwhile.
                    while listener.next_buffered().is_some() {}
                    alive
                }
                None => std::future::pending().await,
            };
            if !alive {
                self.listener = None;
            }
        };
        // Nobody rang: the poll's turn.
        let _ = tokio::time::timeout(longest, rung).await;
    }
}

async fn listen(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
