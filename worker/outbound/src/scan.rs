//! Outcomes in INBOX_EVENTS: read through when the ledger is new, and from a time on when it was put back.

use anyhow::Context;
use runtime::broker::Broker;
use runtime::follow::{Follower, Received, stored};
use schemas::Timestamp;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};

use crate::ledger::mark::PlacedOutcome;

/// Subjects of outcomes.
const OUTCOMES: [&str; 6] = [
    "inbox.v1.event.*.*.*.reply-sent",
    "inbox.v1.event.*.*.*.reply-failed",
    "inbox.v1.event.*.*.*.reply-unknown",
    "inbox.v1.event.*.*.*.command-done",
    "inbox.v1.event.*.*.*.command-failed",
    "inbox.v1.event.*.*.*.command-unknown",
];

/// Ids of events are shorter.
const ID_BYTES_MAX: usize = 128;

/// Every outcome that INBOX_EVENTS stored from `from` on; `None`: all.
///
/// # Errors
/// The broker did not answer: call again.
pub(crate) async fn find_outcomes(
    broker: &Broker,
    from: Option<Timestamp>,
) -> anyhow::Result<Vec<PlacedOutcome>> {
    let from = match from {
        Some(time) => stored::first_since(broker.js(), INBOX_EVENTS, EVENT_ALL, time).await?,
        None => 1,
    };
    let filters = OUTCOMES.map(str::to_owned).to_vec();
    let mut follower =
        Follower::over(broker.clone(), INBOX_EVENTS, filters, from.saturating_sub(1))
            .headers_only();
    let found = follower.read_to_the_end().await.context("reading INBOX_EVENTS")?;
    Ok(found.iter().filter_map(placed).collect())
}

/// Where the outcome is that a message's id names; `None`: it names none.
fn placed(message: &Received) -> Option<PlacedOutcome> {
    // `<id>`, `<id>.r<N>` or `<id>.<job>`: ids have no dot.
    let id = message.header("Nats-Msg-Id")?.split('.').next()?;
    // Of somebody else, or nothing that a table can hold.
    let ours = id.len() <= ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
    ours.then(|| PlacedOutcome { event_id: id.to_owned(), event_seq: message.sequence })
}
