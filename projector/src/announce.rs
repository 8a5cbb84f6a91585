//! Keeps the bytes of what was set aside, publishes a copy without them to INBOX_DEAD, and its number to the metrics. The rows in Postgres are the truth; a copy that is
//! late or missing holds up nothing.

use std::time::Duration;

use runtime::broker::Broker;
use runtime::follow::stored;
use runtime::publish::{Outgoing, PublishFailure};
use runtime::retry::Backoff;
use runtime::streams::{self, StreamName};
use schemas::subjects;
use serde_json::json;
use tokio::sync::Notify;

use crate::meters;
use crate::store::Store;
use crate::store::tables::parked::Unannounced;
use crate::store::tables::parked_bytes::Kept;

const AT_ONCE: i64 = 200;
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How often to look without being notified: operators take events off the list.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Publishes copies of the events set aside and counts them, now, whenever notified, and every few seconds. Never ends by itself.
pub(crate) async fn announce(broker: &Broker, store: &Store, parked: &Notify) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
    loop {
        match round(broker, store).await {
            Ok(0) => {
                backoff.reset();
                let _ = tokio::time::timeout(LOOK_EVERY, parked.notified()).await;
            }
            Ok(_) => backoff.reset(),
            Err(error) => {
                if backoff.attempts() == 0 {
                    tracing::warn!(error = %format!("{error:#}"), "Copies of what was set aside cannot be published to INBOX_DEAD; trying again");
                }
                tokio::time::sleep(backoff.next(rand::random())).await;
            }
        }
    }
}

/// Publishes some copies and notes that they are published. Returns their number.
async fn round(broker: &Broker, store: &Store) -> anyhow::Result<usize> {
    let (count, rows) = store.parked(AT_ONCE).await?;
    meters::parked(u64::try_from(count).unwrap_or(0));
    keep_bytes(broker, store).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let ends = broker.publish_each(rows.iter().map(copy).collect(), ACK_WAIT).await;
    let published: Vec<i64> =
        rows.iter().zip(&ends).filter(|(_, end)| end.is_ok()).map(|(row, _)| row.seq).collect();
    store.announced(&published).await?;
    match ends.into_iter().find_map(Result::err) {
        None => Ok(published.len()),
        Some(failure) => {
            if failure == PublishFailure::NoStream {
                streams::ensure(broker.js(), StreamName::Dead, broker.config()).await?;
            }
            Err(failure.into())
        }
    }
}

/// Looks up the bytes of events set aside, so that they can be folded again whatever the stream keeps.
async fn keep_bytes(broker: &Broker, store: &Store) -> anyhow::Result<()> {
    for seq in store.to_look_up(AT_ONCE).await? {
        let position = u64::try_from(seq).unwrap_or(0);
        let message = stored::at(broker.js(), subjects::INBOX_EVENTS, position).await?;
        let kept = message.map(|message| Kept {
            subject: message.subject,
            body: message.payload.to_vec(),
            stored_at: message.stored_at,
        });
        store.keep(seq, kept.as_ref()).await?;
    }
    Ok(())
}

/// Ids and the cause, never content.
fn copy(row: &Unannounced) -> Outgoing {
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
