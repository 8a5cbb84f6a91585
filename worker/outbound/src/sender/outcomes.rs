//! Outcomes of commands that have ended: published by the task that ended them, or by a sweep.

use std::time::Duration;

use runtime::db::within;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::ledger::{commands, queue};
use crate::outcome;
use crate::services::{LEDGER_WITHIN, Services};

/// How old an unpublished outcome is before somebody other than its own task publishes it.
const GRACE: Duration = Duration::from_secs(1);
/// Outcomes published by one sweep.
const BATCH: i64 = 100;
/// The queue is counted every so many sweeps: that reads all that waits.
const GAUGED_EVERY: u64 = 8;
/// Outcomes that fail before the rest waits for the next sweep.
const FAILURES_MAX: usize = 3;

/// Publishes outcomes whose own task did not get to it, every `period` until `shutdown`, and counts the queue now and then.
pub(super) async fn sweep(services: Services, period: Duration, shutdown: CancellationToken) {
    let mut clock = tokio::time::interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        for round in 0_u64.. {
            clock.tick().await;
            publish_left(&services).await;
            if round % GAUGED_EVERY == 0 {
                gauge(&services).await;
            }
        }
    };
    shutdown.run_until_cancelled(rounds).await;
}

async fn publish_left(services: &Services) {
    let unpublished = async { commands::unpublished(&services.pool, GRACE, BATCH).await };
    let Ok(left) = within(LEDGER_WITHIN, unpublished).await else { return };
    let mut failed = 0;
    for identity in left {
        let published = within(LEDGER_WITHIN, outcome::publish(&services.facts, &identity));
        let Err(error) = published.await else { continue };
        // One may be at fault itself; several in a row are not.
        failed += 1;
        metrics::counter!("hookline_command_outcome_failures_total").increment(1);
        tracing::debug!(command.identity = %identity, error = %format!("{error:#}"), "An outcome is published later");
        if FAILURES_MAX <= failed {
            return;
        }
    }
}

async fn gauge(services: &Services) {
    let counted = within(LEDGER_WITHIN, queue::counts(&services.pool)).await;
    let Ok(counts) = counted else { return };
    for (state, count) in [
        ("open", counts.open),
        ("parked", counts.parked),
        ("held", counts.held),
        ("unpublished", counts.unpublished),
    ] {
        #[allow(clippy::cast_precision_loss)] // a count of rows
        metrics::gauge!("hookline_send_commands", "state" => state).set(count as f64);
    }
}
