//! Waking up over Postgres: `pg_notify` in the transaction of what is to be done, LISTEN in whoever does it.
//!
//! A notification is a hint, never the only way: it is lost while the listener reconnects, so its user also looks from time to time.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Executor, PgConnection, PgPool};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::db::within;
use crate::retry::Backoff;

/// The channel on which the api reports that a login came back from Meta, or that a person chose.
pub const LOGINS: &str = "hookline_logins";

/// How long a connection may take to open.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// After so long without a notification the connection is tested: one that something in between forgot would stay silent for ever.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const TEST_WITHIN: Duration = Duration::from_secs(3);

/// Wakes the listeners of `channel`, in all processes, when the caller's transaction commits.
///
/// # Errors
/// `sqlx::Error`; the transaction is to be rolled back.
pub async fn notify(conn: &mut PgConnection, channel: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_notify($1, '')").bind(channel).execute(conn).await?;
    Ok(())
}

/// Opens a connection that listens on `channels`, in a pool of its own: one that hangs takes no place from others, and its loss is returned
/// at once by [`PgListener::try_recv`] instead of being mended silently.
///
/// # Errors
/// `sqlx::Error`, also when Postgres does not answer within ten seconds; call again.
pub async fn open(pool: &PgPool, channels: &[&str]) -> sqlx::Result<PgListener> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    within(OPEN_WITHIN, async {
        let mut listener = PgListener::connect_with(&own).await?;
        listener.eager_reconnect(false);
        listener.listen_all(channels.iter().copied()).await?;
        Ok(listener)
    })
    .await
}

/// Listens on one channel for as long as it lives; connects again by itself.
#[derive(Debug)]
pub struct Listener {
    woken: Arc<Notify>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Listener {
    /// Starts to listen, on a connection beside those of `pool`.
    pub fn start(pool: PgPool, channel: &'static str) -> Self {
        let [listener] = Self::start_all(pool, [channel]);
        listener
    }

    /// Starts to listen on several channels over one connection. The listeners are in the order of the channels.
    pub fn start_all<const N: usize>(pool: PgPool, channels: [&'static str; N]) -> [Self; N] {
        let woken = channels.map(|_| Arc::new(Notify::new()));
        let task = AbortOnDropHandle::new(tokio::spawn(listen(pool, channels, woken.clone())));
        let task = Arc::new(task);
        woken.map(|woken| Self { woken, _task: Arc::clone(&task) })
    }

    /// Waits for a notification that came after the last call returned; one call returns for any number of them. May be dropped while it
    /// waits without losing any. Has one user: of two that wait, one wakes.
    pub async fn notified(&self) {
        self.woken.notified().await;
    }
}

async fn listen<const N: usize>(
    pool: PgPool,
    channels: [&'static str; N],
    woken: [Arc<Notify>; N],
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        match open(&pool, &channels).await {
            Ok(listener) => {
                backoff.reset();
                // What was notified before is found by one look.
                woken.iter().for_each(|woken| woken.notify_one());
                forward(listener, &channels, &woken).await;
                tracing::debug!(?channels, "No longer listening; connecting again");
            }
            Err(error) => tracing::debug!(?channels, %error, "Cannot listen; trying again"),
        }
        tokio::time::sleep(backoff.next(rand::random())).await;
    }
}

/// Returns when the connection is lost.
async fn forward(mut listener: PgListener, channels: &[&str], woken: &[Arc<Notify>]) {
    loop {
        match tokio::time::timeout(SILENCE_MAX, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                for (_, woken) in channels
                    .iter()
                    .zip(woken)
                    .filter(|(channel, _)| **channel == notification.channel())
                {
                    woken.notify_one();
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                if within(TEST_WITHIN, listener.execute("select 1")).await.is_err() {
                    return;
                }
            }
        }
    }
}
