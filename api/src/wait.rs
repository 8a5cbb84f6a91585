//! How far the read model has come: followed by notification and by looking, so that callers read their own writes.

use std::time::Duration;

use runtime::health::Health;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Sent by the projector with its position, in the transaction of the rows.
const CHANNEL: &str = "inbox_projected";
/// How often the position is read where no notification comes.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long an act waits for its projection (contract section 7).
pub const ACT_WAIT: Duration = Duration::from_secs(2);

/// The position of the read model in INBOX_EVENTS; `None` until it was read.
#[derive(Clone)]
pub struct Projected(watch::Receiver<Option<u64>>);

impl Projected {
    /// Starts to follow it; keeps the check `inbox` of `health`.
    pub fn follow(pool: PgPool, health: Health, shutdown: CancellationToken) -> Self {
        let (sender, receiver) = watch::channel(None);
        health.set("inbox", Err("the read model was not looked at yet".to_owned()));
        tokio::spawn(async move {
            let _ = shutdown.run_until_cancelled(keep(&pool, &health, &sender)).await;
        });
        Self(receiver)
    }

    /// What is known now.
    pub fn now(&self) -> Option<u64> {
        *self.0.borrow()
    }

    /// Waits until the read model has come to `position`.
    pub async fn reach(&self, position: u64) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|now| now.is_some_and(|now| now >= position)).await.is_err() {
            // The process stops: nobody will tell any more.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the position is known at all.
    pub async fn known(&self) -> u64 {
        self.reach(0).await;
        self.now().unwrap_or_default()
    }

    /// Whether the read model comes to `position` within `wait`.
    pub async fn reach_within(&self, position: u64, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.reach(position)).await.is_ok()
    }

    /// Waits for the next change.
    pub async fn changed(&self) {
        let mut receiver = self.0.clone();
        receiver.mark_unchanged();
        if receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Looks for ever, with a listener while there is one.
async fn keep(pool: &PgPool, health: &Health, sender: &watch::Sender<Option<u64>>) {
    loop {
        let mut listener = PgListener::connect_with(pool).await.ok();
        if let Some(open) = &mut listener
            && open.listen(CHANNEL).await.is_err()
        {
            listener = None;
        }
        loop {
            let reachable = look(pool, health, sender).await;
            let Some(open) = &mut listener else {
                tokio::time::sleep(LOOK_EVERY).await;
                if reachable { break } else { continue }
            };
            match tokio::time::timeout(LOOK_EVERY, open.try_recv()).await {
                Err(_) => {}
                Ok(Ok(Some(notification))) => {
                    if let Ok(position) = notification.payload().parse() {
                        set(sender, position);
                        continue;
                    }
                }
                Ok(Ok(None) | Err(_)) => break,
            }
        }
    }
}

/// Reads the position once. `false`: Postgres did not answer.
async fn look(pool: &PgPool, health: &Health, sender: &watch::Sender<Option<u64>>) -> bool {
    let read: Result<Option<(i64,)>, _> =
        sqlx::query_as("select seq from inbox.position").fetch_optional(pool).await;
    let (state, reachable) = match read {
        Ok(Some((position,))) => {
            set(sender, u64::try_from(position).unwrap_or_default());
            (Ok(()), true)
        }
        // Nothing projected yet.
        Ok(None) => {
            set(sender, 0);
            (Ok(()), true)
        }
        Err(sqlx::Error::Database(_)) => {
            (Err("the read model is not there yet: start the projector".to_owned()), true)
        }
        Err(_) => {
            (Err("the read model cannot be read: Postgres is not reachable".to_owned()), false)
        }
    };
    health.set("inbox", state);
    reachable
}

fn set(sender: &watch::Sender<Option<u64>>, position: u64) {
    sender.send_if_modified(|now| now.replace(position) != Some(position));
}
