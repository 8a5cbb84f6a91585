//! Requests that were stored and perhaps not published, because a process died in between: published again under their derived ids, which
//! changes nothing where they were. Sessions, links and logins that are over are forgotten at the same time.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use schemas::{Command, Event};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;
use crate::publish::Message;
use crate::requests::{self, Unpublished};
use crate::{connect, imports, session};

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(60);
/// The same after a look that failed.
const SOON: Duration = Duration::from_secs(2);
/// A request younger than this is in the hands of whoever stored it; at the start nobody has.
const AGE: Duration = Duration::from_secs(15);

/// Sweeps at the start and every minute until the process stops.
pub(crate) async fn run(app: Arc<App>) {
    let (mut age, mut failed) = (Duration::ZERO, false);
    loop {
        let pause = match sweep(&app, age).await {
            Ok(published) => {
                if published > 0 {
                    tracing::info!(published, "Published requests that were only stored");
                }
                (age, failed) = (AGE, false);
                EVERY
            }
            Err(problem) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(
                        reason = problem.detail(),
                        "Requests that are stored cannot be published now; trying again"
                    );
                }
                SOON
            }
        };
        if app.stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Publishes what is at least `age` old; returns how many there were.
async fn sweep(app: &App, age: Duration) -> Result<u64, Problem> {
    session::sweep(&app.pool).await?;
    connect::sweep(&app.pool).await?;
    let mut published = 0;
    for request in requests::unpublished(&app.pool, age).await? {
        let Unpublished { id, kind, message } = request;
        let done = match kind.as_str() {
            "act" => publish::<Event>(app, &id, message).await?,
            _ => publish::<Command>(app, &id, message).await?,
        };
        published += u64::from(done);
    }
    imports::sweep(&app.pool).await?;
    metrics::counter!("hookline_api_requests_swept_total").increment(published);
    Ok(published)
}

/// `false`: this release cannot read it.
async fn publish<M: Message + DeserializeOwned>(
    app: &App,
    id: &str,
    message: serde_json::Value,
) -> Result<bool, Problem> {
    let Ok(message) = serde_json::from_value::<M>(message) else {
        tracing::error!(request.id = id, "The stored request `{id}` cannot be read");
        return Ok(false);
    };
    match app.publish_marked(id, &message).await {
        Ok(_) => Ok(true),
        Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => Err(problem),
        // What the broker will never take holds up no other.
        Err(problem) => {
            tracing::error!(
                request.id = id,
                reason = problem.detail(),
                "The stored request `{id}` cannot be published"
            );
            Ok(false)
        }
    }
}
