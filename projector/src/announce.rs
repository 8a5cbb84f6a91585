//! Tells INBOX_DEAD what was set aside, and the metrics how much. The rows in Postgres are the truth; a copy that is late or missing holds
//! up nothing.

use std::time::Duration;

use metrics::gauge;
use runtime::broker::Broker;
use runtime::publish::{Outgoing, PublishFailure};
use runtime::retry::Backoff;
use runtime::streams::{self, StreamName};
use schemas::subjects;
use serde_json::json;
use tokio::sync::Notify;

use crate::follow::precise;
use crate::store::{ParkedRow, Store};

const AT_ONCE: i64 = 200;
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How often to look without a bell: operators take events off the list.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Publishes copies of the events set aside and counts them, now, whenever `bell` rings, and now and then. Never ends by itself.
pub(crate) async fn announce(broker: &Broker, store: &Store, bell: &Notify) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
    loop {
        match round(broker, store).await {
            Ok(0) => {
                backoff.reset();
                let _ = tokio::time::timeout(LOOK_EVERY, bell.notified()).await;
            }
            Ok(_) => backoff.reset(),
            Err(error) => {
                if backoff.attempts() == 0 {
                    tracing::warn!(error = %format!("{error:#}"), "INBOX_DEAD cannot be told what was set aside; trying again");
                }
                tokio::time::sleep(backoff.next(rand::random())).await;
            }
        }
    }
}

/// Publishes some copies and notes that they are published. Answers with their number.
async fn round(broker: &Broker, store: &Store) -> anyhow::Result<usize> {
    let count = u64::try_from(store.parked_count().await?).unwrap_or(0);
    gauge!("hookline_projector_parked").set(precise(count));
    let rows = store.unannounced(AT_ONCE).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let ends = broker.publish_each(rows.iter().map(copy).collect(), ACK_WAIT).await;
    let told: Vec<i64> =
        rows.iter().zip(&ends).filter(|(_, end)| end.is_ok()).map(|(row, _)| row.seq).collect();
    store.announced(&told).await?;
    match ends.into_iter().find_map(Result::err) {
        None => Ok(told.len()),
        Some(failure) => {
            if failure == PublishFailure::NoStream {
                streams::ensure(broker.js(), StreamName::Dead, broker.config()).await?;
            }
            Err(failure.into())
        }
    }
}

/// Ids and the cause, never what the event says.
fn copy(row: &ParkedRow) -> Outgoing {
    Outgoing {
        subject: subjects::dead("projector", row.channel, &row.account_id),
        id: format!("parked/projector/{}", row.seq),
        headers: async_nats::HeaderMap::new(),
        payload: json!({
            "stage": "projector",
            "parked": {
                "stream": subjects::INBOX_EVENTS, "seq": row.seq, "event_id": row.event_id, "kind": row.kind,
                "channel": row.channel, "account_id": row.account_id, "cause": row.cause, "parked_at": row.parked_at,
            },
        })
        .to_string()
        .into(),
    }
}
