//! What `rebuild`, `verify` and `redrive run` share: the connections, the exit codes, and how two models are compared on the screen.

use std::sync::Arc;
use std::time::Duration;

use ops::Wish;
use projector::rebuild::{Comparison, Place, RebuildError, Seen, Show};
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use runtime::streams::StreamName;
use tokio_util::sync::CancellationToken;

use crate::connect;
use crate::exit::{Exit, Failure};
use crate::output::{say, table};
use crate::progress::Progress;

/// How long the broker may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// How often to look whether the stream is another one.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Rows shown to people; `--output json` has more.
const SHOWN_MAX: usize = 20;

/// Connects to broker and Postgres.
///
/// # Errors
/// Exit code 4 where one of them does not, 3 where INBOX_EVENTS is not the one whose positions are stored.
pub(crate) async fn open(settings: &Settings, stop: CancellationToken) -> anyhow::Result<Place> {
    let config = NatsConfig::from_settings(settings)?;
    drop(connect::broker(&config).await?);
    let pool = connect::postgres(settings).await?;
    let stored = Arc::new(projector::eras::Eras::new(pool.clone()));
    let broker =
        Broker::connect_knowing("operator", config, projector::NEEDS, stored, stop).await?;
    let foreign = async {
        loop {
            if let Some(reason) = broker.foreign(StreamName::Events) {
                return reason;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let ready = tokio::select! {
        reason = foreign => return Err(Failure::refused(reason)),
        ready = tokio::time::timeout(READY_WITHIN, broker.ready()) => ready,
    };
    if ready.is_err() {
        let reason = broker.accepts().err().unwrap_or_else(|| "it is not ready".to_owned());
        return Err(Failure::unreachable(format!("NATS_URL: {reason}")));
    }
    Ok(Place { broker, pool })
}

/// The error with its exit code; `job` is named where it can be continued.
pub(crate) fn failure(error: RebuildError, job: Option<&str>) -> anyhow::Error {
    match error {
        RebuildError::Refused(message) => Failure::refused(message),
        RebuildError::Unreachable(message) => Failure::unreachable(message),
        RebuildError::Lost => Failure::refused(error.to_string()),
        RebuildError::Stopped(Wish::Cancel) => {
            Failure { exit: Exit::SomeFailed, message: "cancelled; nothing was changed".to_owned() }
                .into()
        }
        RebuildError::Stopped(Wish::Pause) => {
            let message = match job {
                Some(job) => format!("job {job} is paused; run the same command again to continue"),
                None => "stopped; nothing was changed".to_owned(),
            };
            Failure { exit: Exit::SomeFailed, message }.into()
        }
        RebuildError::Database(error) => error.into(),
        RebuildError::Other(error) => error,
    }
}

/// Shows the progress in a bar.
pub(crate) fn show_in(progress: &mut Progress) -> Show<'_> {
    Box::new(|seen: Seen<'_>| {
        progress.total(seen.target);
        progress.at(seen.position, seen.doing);
    })
}

/// Prints how two models differ.
pub(crate) fn print_comparison(found: &Comparison, other: &str) {
    let rows: Vec<Vec<String>> = found
        .tables
        .iter()
        .map(|one| {
            let numbers = [one.rows, one.rows_expected, one.missing, one.surplus, one.changed];
            let mut cells = vec![one.table.clone()];
            cells.extend(numbers.iter().map(ToString::to_string));
            cells.push(
                if one.digest == one.digest_expected { "equal" } else { "differ" }.to_owned(),
            );
            cells
        })
        .collect();
    table(&["table", "rows", other, "missing", "surplus", "changed", "digests"], &rows);
    for row in found.rows.iter().take(SHOWN_MAX) {
        let events: Vec<String> = row
            .events
            .iter()
            .map(|event| match event.position {
                Some(position) => format!("{} at {position}", event.event_id),
                None => event.event_id.clone(),
            })
            .collect();
        say(format!(
            "{} {} {} {} from {}",
            row.how,
            row.table,
            row.id,
            row.columns.join(","),
            if events.is_empty() { "no event".to_owned() } else { events.join(", ") }
        ));
    }
    if found.rows.len() > SHOWN_MAX {
        say(format!("… and more: `--output json` has {}", found.rows.len()));
    }
}
