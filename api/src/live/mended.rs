//! Events that the projector had set aside and that were folded since: their rows are there only now, so readers that passed them hear of
//! them once more. They come without an id, which would set a client back that connects again.

use std::sync::Arc;
use std::time::Duration;

use runtime::broker::Broker;
use runtime::follow::stored;
use schemas::subjects::INBOX_EVENTS;
use sqlx::{FromRow, PgPool};

use super::filter::LiveEvent;
use super::unsent;

/// How often it is looked whether anything was mended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events that are looked up at once, and that a client which connects again hears of at most.
const EVENTS_MAX: i64 = 1000;

/// An event that was folded again.
#[derive(Clone, Copy, Debug, FromRow)]
struct Mended {
    /// Counts up in the order in which they were mended.
    n: i64,
    /// Its position in INBOX_EVENTS.
    seq: i64,
}

/// Hands out what is mended from now on; never ends.
pub(super) async fn follow(pool: PgPool, broker: Broker, out: impl Fn(Arc<LiveEvent>)) {
    let mut after = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        after = match after {
            None => last(&pool).await.ok(),
            Some(n) => Some(hand_out(&pool, &broker, &out, n).await),
        };
    }
}

/// Hands out what was mended after `n`; returns the last of it. What cannot be read now is read at the next look.
async fn hand_out(
    pool: &PgPool,
    broker: &Broker,
    out: &impl Fn(Arc<LiveEvent>),
    mut n: i64,
) -> i64 {
    for mended in after(pool, n).await.unwrap_or_default() {
        let read = match event(broker, mended).await {
            Ok(event) => unsent::without(pool, event.into_iter().map(Arc::new).collect()).await,
            Err(error) => {
                tracing::debug!(%error, "A mended event cannot be read now; trying again");
                break;
            }
        };
        let Ok(events) = read else { break };
        events.into_iter().for_each(out);
        n = mended.n;
    }
    n
}

/// Where a client was when it stopped hearing what is mended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    /// Its position.
    since: u64,
    /// The last event that was mended before.
    n: i64,
}

impl Away {
    /// A client at this position hears nothing from now on.
    pub(super) async fn since(pool: &PgPool, position: u64) -> Self {
        Self { since: position, n: last(pool).await.unwrap_or(i64::MAX) }
    }
}

/// The events up to `position` that a client has missed which was away: that it had passed, and were mended when the read model was at its
/// position or further; and those that were mended while it read what is older. As many as can be read: what is missed here is in the rows.
pub(super) async fn missed(
    pool: &PgPool,
    broker: &Broker,
    away: Away,
    position: u64,
) -> Vec<Arc<LiveEvent>> {
    let mut missed = Vec::new();
    for mended in between(pool, away, position).await.unwrap_or_default() {
        if let Ok(Some(event)) = event(broker, mended).await {
            missed.push(Arc::new(event));
        }
    }
    unsent::without(pool, missed).await.unwrap_or_default()
}

async fn event(broker: &Broker, mended: Mended) -> Result<Option<LiveEvent>, stored::LookUpError> {
    let seq = u64::try_from(mended.seq).unwrap_or(0);
    let message = stored::at(broker.js(), INBOX_EVENTS, seq).await?;
    Ok(message.and_then(|message| LiveEvent::read(seq, &message.payload)))
}

async fn last(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(max(n), 0) from inbox.mended").fetch_one(pool).await
}

async fn after(pool: &PgPool, n: i64) -> sqlx::Result<Vec<Mended>> {
    sqlx::query_as("select n, seq from inbox.mended where n > $1 order by n limit $2")
        .bind(n)
        .bind(EVENTS_MAX)
        .fetch_all(pool)
        .await
}

async fn between(pool: &PgPool, away: Away, position: u64) -> sqlx::Result<Vec<Mended>> {
    sqlx::query_as(
        "select n, seq from inbox.mended
          where (position >= $1 and seq <= $1 or n > $2) and seq <= $3 order by n limit $4",
    )
    .bind(i64::try_from(away.since).unwrap_or(i64::MAX))
    .bind(away.n)
    .bind(i64::try_from(position).unwrap_or(i64::MAX))
    .bind(EVENTS_MAX)
    .fetch_all(pool)
    .await
}
