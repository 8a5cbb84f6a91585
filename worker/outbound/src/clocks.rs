//! Graph's clock against the database's, by which attempts are dated (docs/decisions/33-clocks.md).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use graph::{Host, HostClock};
use runtime::db::within;
use runtime::steady::Steady;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::ledger;
use crate::services::{LEDGER_WITHIN, Services};

/// How often it is looked whether there is something to say of the clocks.
const EVERY: Duration = Duration::from_secs(5);
/// How long a clock that has not moved is not reported again.
const UNMOVED: Duration = Duration::from_secs(60);
/// A difference that has moved by less is the same: a date of Graph has whole seconds.
const MOVED_MS: u64 = 2_000;

/// Milliseconds by which a clock of Graph is ahead of the database's; negative where it is behind.
///
/// # Errors
/// The database did not answer in time.
pub(crate) async fn ahead_of_database(pool: &PgPool, graph: HostClock) -> sqlx::Result<i64> {
    let compared = async {
        let mut conn = pool.acquire().await?;
        let asked = Steady::now();
        let database = ledger::now(&mut conn).await?;
        Ok(graph.ahead_of(database, asked, Steady::now()))
    };
    within(LEDGER_WITHIN, compared).await
}

/// Whether two clocks are near enough for their times to be compared.
pub(crate) const fn agree(ahead_ms: i64, skew: Duration) -> bool {
    ahead_ms.unsigned_abs() as u128 <= skew.as_millis()
}

/// What was kept of a host's clock, and when.
type Kept = HashMap<Host, (i64, Instant)>;

/// Writes down how far Graph's clock is ahead, where an answer has named its time, until `shutdown`.
pub(crate) async fn watch(services: Services, shutdown: CancellationToken) {
    let mut kept = Kept::new();
    while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        for (host, clock) in services.graph.clocks() {
            if let Err(error) = keep(&services, host, clock, &mut kept).await {
                tracing::debug!(%error, "Could not compare Graph's clock with the database's");
            }
        }
    }
}

async fn keep(
    services: &Services,
    host: Host,
    clock: HostClock,
    kept: &mut Kept,
) -> sqlx::Result<()> {
    let ahead = ahead_of_database(&services.pool, clock).await?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of a gauge")]
    metrics::gauge!("hookline_graph_clock_ahead_seconds", "host" => host.as_str())
        .set(ahead as f64 / 1000.0);
    let unmoved = kept
        .get(&host)
        .is_some_and(|(kept, at)| ahead.abs_diff(*kept) < MOVED_MS && at.elapsed() < UNMOVED);
    if !unmoved {
        let agrees = agree(ahead, services.waits.graph_clock_max_skew);
        let keep = ledger::clocks::keep(&services.pool, host.as_str(), ahead, agrees);
        within(LEDGER_WITHIN, keep).await?;
        kept.insert(host, (ahead, Instant::now()));
    }
    Ok(())
}
