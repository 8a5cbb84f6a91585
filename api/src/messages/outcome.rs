//! Waiting for the outcome of a reply, and until it can be read in the list of messages.

use std::time::Duration;

use tokio::time::Instant;

use super::rows;
use crate::app::App;
use crate::problem::Problem;
use crate::projected::ACT_WAIT;
use crate::replies::{self, Reply};

/// How often Postgres is asked while a caller waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until `deadline` for the outcome of a reply; returns what is known then. `None`: the worker has not taken it up yet.
///
/// # Errors
/// 503 when Postgres is away.
pub(super) async fn settled_by(
    app: &App,
    id: &str,
    deadline: Instant,
) -> Result<Option<Reply>, Problem> {
    loop {
        let reply = replies::load(&app.pool, id).await?.into_iter().next();
        let settled = reply.as_ref().is_some_and(Reply::is_settled);
        if settled || !look_again(app, deadline).await {
            return Ok(reply);
        }
    }
}

/// Waits, at most 2 s and not beyond `deadline`, until what a sent reply became is in the list of messages: the ledger knows it a moment
/// earlier, and a caller should read its own write.
///
/// # Errors
/// 503 when Postgres is away.
pub(super) async fn listed_by(app: &App, id: &str, deadline: Instant) -> Result<(), Problem> {
    let deadline = deadline.min(Instant::now() + ACT_WAIT);
    loop {
        let listed = rows::has_reply(&app.pool, id).await?;
        if listed || !look_again(app, deadline).await {
            return Ok(());
        }
    }
}

/// Waits until the read model moves, or a moment. `false`: the deadline has passed, or the process stops.
async fn look_again(app: &App, deadline: Instant) -> bool {
    let now = Instant::now();
    if now >= deadline || app.stopping.is_cancelled() {
        return false;
    }
    // The outcome is an event, so the read model moves with it; the timer is for when the projector stands still.
    tokio::select! {
        () = moved(app) => {}
        () = app.stopping.cancelled() => {}
        () = tokio::time::sleep_until(deadline.min(now + LOOK_EVERY)) => {}
    }
    true
}

/// Waits until the read model moves, at most 40 times a second: many callers that wait must not keep Postgres busy.
async fn moved(app: &App) {
    tokio::time::sleep(LOOK_EVERY / 4).await;
    app.projected.changed().await;
}
