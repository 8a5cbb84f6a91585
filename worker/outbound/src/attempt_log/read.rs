//! Reads INBOX_ATTEMPTS.

use anyhow::Context;
use runtime::broker::Broker;
use runtime::follow::{Follower, stored};
use runtime::streams::{Era, era_of};
use schemas::subjects::{self, INBOX_ATTEMPTS, INBOX_COMMANDS};
use schemas::{Timestamp, subjects::COMMAND_ALL};

use super::entry::Batch;
use super::fold::Placed;

/// How a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) era: Era,
    /// Its last position; 0 where it has none.
    pub(super) last: u64,
}

/// How the log stands.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn head(broker: &Broker) -> anyhow::Result<Head> {
    let stream = broker.js().get_stream(INBOX_ATTEMPTS).await.context("reading INBOX_ATTEMPTS")?;
    let info = stream.cached_info();
    Ok(Head { era: era_of(info), last: info.state.last_sequence })
}

/// How INBOX_COMMANDS stands: its last command that is still there.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn commands_head(broker: &Broker) -> anyhow::Result<Head> {
    let stream = broker.js().get_stream(INBOX_COMMANDS).await.context("reading INBOX_COMMANDS")?;
    let era = era_of(stream.cached_info());
    let last = stored::last(broker.js(), INBOX_COMMANDS, COMMAND_ALL).await?;
    Ok(Head { era, last: last.map_or(0, |message| message.sequence) })
}

/// The last position of a shard; 0 where it has none.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn last_of(broker: &Broker, shard: u32) -> anyhow::Result<u64> {
    let last = stored::last(broker.js(), INBOX_ATTEMPTS, &subjects::attempt(shard)).await?;
    Ok(last.map_or(0, |message| message.sequence))
}

/// When the message at a position was stored; `None` where there is none.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn stored_at(broker: &Broker, seq: u64) -> anyhow::Result<Option<Timestamp>> {
    let message = stored::at(broker.js(), INBOX_ATTEMPTS, seq).await?;
    Ok(message.map(|message| message.stored_at))
}

/// What the log has behind these marks, `(shard, mark, last)` each, in order.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn gap(
    broker: &Broker,
    shards: &[(u32, u64, u64)],
) -> anyhow::Result<Vec<Placed>> {
    let Some(position) = shards.iter().map(|(_, mark, _)| *mark).min() else {
        return Ok(Vec::new());
    };
    let filters = shards.iter().map(|(shard, _, _)| subjects::attempt(*shard)).collect();
    let mut follower = Follower::over(broker.clone(), INBOX_ATTEMPTS, filters, position);
    let mut gap = Vec::new();
    for message in follower.read_to_the_end().await.context("reading INBOX_ATTEMPTS")? {
        let seq = message.sequence;
        let named = |(shard, mark, last): &&(u32, u64, u64)| {
            message.subject == subjects::attempt(*shard) && *mark < seq && seq <= *last
        };
        let Some((shard, _, _)) = shards.iter().find(named) else { continue };
        match serde_json::from_slice::<Batch>(&message.payload) {
            Ok(batch) => gap.push(Placed { shard: *shard, batch }),
            Err(error) => {
                // Nobody but a worker may write there.
                metrics::counter!("hookline_attempt_log_unreadable_total").increment(1);
                tracing::error!(sequence = seq, %error, "Message {seq} of INBOX_ATTEMPTS is no batch of attempts");
            }
        }
    }
    Ok(gap)
}
