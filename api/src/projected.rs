//! How far the read model has come, so that callers read their own writes, and whether Postgres answers at all. Both are observed by LISTEN
//! and by reading the position from time to time, on a connection beside the pool: however busy the routes keep theirs.

use std::time::Duration;

use runtime::health::Health;
use runtime::notify;
use sqlx::postgres::PgListener;
use sqlx::{Executor, PgPool, Postgres};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Sent by the projector with its position, in the transaction of the rows.
const CHANNEL: &str = "inbox_projected";
/// How often the position is read where no notification comes.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A Postgres that does not answer for this long is away: a connection that is only seemingly open reports nothing by itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an act waits for its projection (docs/contract.md 7).
pub(crate) const ACT_WAIT: Duration = Duration::from_secs(2);

/// The position of the read model in INBOX_EVENTS, `None` until it was read; and whether Postgres answers.
#[derive(Clone)]
pub(crate) struct Projected {
    position: watch::Receiver<Option<u64>>,
    reachable: watch::Receiver<bool>,
}

impl Projected {
    /// Starts to follow it; keeps the check `inbox` of `health`.
    pub(crate) fn follow(pool: PgPool, health: Health, shutdown: CancellationToken) -> Self {
        let (position, position_seen) = watch::channel(None);
        let (reachable, reachable_seen) = watch::channel(false);
        health.set("inbox", Err("the read model was not looked at yet".to_owned()));
        let watcher = Watcher { health, position, reachable };
        tokio::spawn(async move {
            let _ = shutdown.run_until_cancelled(watcher.watch(&pool)).await;
        });
        Self { position: position_seen, reachable: reachable_seen }
    }

    /// What is known now.
    pub(crate) fn now(&self) -> Option<u64> {
        *self.position.borrow()
    }

    /// Waits until Postgres is known to be away.
    pub(crate) async fn lost(&self) {
        let mut receiver = self.reachable.clone();
        if receiver.wait_for(|reachable| !reachable).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the read model has come to `position`.
    pub(crate) async fn reach(&self, position: u64) {
        let mut receiver = self.position.clone();
        if receiver.wait_for(|now| now.is_some_and(|now| now >= position)).await.is_err() {
            // The process stops: nothing is reported any more.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the position is known at all.
    pub(crate) async fn known(&self) -> u64 {
        self.reach(0).await;
        self.now().unwrap_or_default()
    }

    /// Whether the read model comes to `position` within `wait`.
    pub(crate) async fn reach_within(&self, position: u64, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.reach(position)).await.is_ok()
    }

    /// Waits for the next change.
    pub(crate) async fn changed(&self) {
        let mut receiver = self.position.clone();
        receiver.mark_unchanged();
        if receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The task behind [`Projected`].
struct Watcher {
    health: Health,
    position: watch::Sender<Option<u64>>,
    reachable: watch::Sender<bool>,
}

impl Watcher {
    /// Connects, listens, and connects again.
    async fn watch(&self, pool: &PgPool) {
        loop {
            // It is known to be away while the connection opens, so there is no hurry to give up.
            match notify::open(pool, &[CHANNEL]).await {
                Ok(listener) => self.listen(listener).await,
                // Postgres is there and has no connection to spare: look with one of ours.
                Err(sqlx::Error::Database(_)) => {
                    self.look(pool).await;
                }
                Err(_) => self.away(),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Listens, and reads the position in between, until the connection is lost.
    async fn listen(&self, mut listener: PgListener) {
        loop {
            if !self.look(&mut listener).await {
                return;
            }
            // Notifications come one by one; as long as they come, there is no need to look.
            loop {
                match tokio::time::timeout(LOOK_EVERY, listener.try_recv()).await {
                    Err(_) => break,
                    Ok(Ok(Some(notification))) => match notification.payload().parse() {
                        Ok(position) => set(&self.position, position),
                        Err(_) => break,
                    },
                    Ok(Ok(None) | Err(_)) => return self.away(),
                }
            }
        }
    }

    /// Reads the position once. `false`: Postgres did not answer.
    async fn look<'c, E: Executor<'c, Database = Postgres>>(&self, executor: E) -> bool {
        let read =
            sqlx::query_scalar::<_, i64>("select seq from inbox.position").fetch_optional(executor);
        let state = match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(row)) => {
                // No row: nothing projected yet.
                let position = row.unwrap_or(0);
                set(&self.position, u64::try_from(position).unwrap_or_default());
                Ok(())
            }
            Ok(Err(sqlx::Error::Database(_))) => {
                Err("the read model is not there yet: start the projector".to_owned())
            }
            Ok(Err(_)) | Err(_) => {
                self.away();
                return false;
            }
        };
        if self.reachable.send_if_modified(|reachable| !std::mem::replace(reachable, true)) {
            tracing::info!("Postgres answers");
        }
        self.health.set("inbox", state);
        true
    }

    fn away(&self) {
        if self.reachable.send_if_modified(|reachable| std::mem::replace(reachable, false)) {
            tracing::warn!("Postgres does not answer; until it does, /v1 says 503");
        }
        let reason = "the read model cannot be read: Postgres is not reachable";
        self.health.set("inbox", Err(reason.to_owned()));
    }
}

fn set(sender: &watch::Sender<Option<u64>>, position: u64) {
    sender.send_if_modified(|now| now.replace(position) != Some(position));
}
