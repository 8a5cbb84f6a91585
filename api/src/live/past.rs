//! What a client missed, read from the broker: in turns that end by time and bytes, so that nobody waits for a client's socket.

use std::sync::Arc;
use std::time::Duration;

use runtime::broker::Broker;
use runtime::follow::{Follower, stored};
use schemas::subjects::INBOX_EVENTS;
use tokio::time::{Instant, timeout_at};

use super::end::End;
use super::filter::{Filter, LiveEvent};
use super::recent::Part;
use super::source::Live;
use crate::turns::Turns;

/// A turn of reading from the broker ends after this long,
const TURN: Duration = Duration::from_secs(2);
/// or with so many bytes.
const TURN_BYTES: usize = 2 << 20;
/// Events handed over from memory at once, and read from the broker at once.
pub(super) const BATCH: usize = 256;

/// The events before those that are handed out.
pub(super) struct Past {
    pub(super) broker: Broker,
    turns: Arc<Turns>,
    token: String,
}

impl Past {
    pub(super) fn new(live: &Live, token: String) -> Self {
        Self { broker: live.broker.clone(), turns: Arc::clone(&live.reading), token }
    }

    /// Reads from the broker what comes next and `filter` wants, up to `head` and at most `max` events, in a turn that ends before anything is sent: a client
    /// that takes nothing would keep it.
    pub(super) async fn read(
        &self,
        filter: &Filter,
        position: u64,
        head: u64,
        max: usize,
    ) -> Result<Part, End> {
        let nothing = || Part { events: Vec::new(), up_to: position };
        let Some(_turn) = self.turns.turn(&self.token).await else { return Err(End::Gone) };
        let over = Instant::now() + TURN;
        let subjects = filter.subjects();
        let Ok(Some(last)) = timeout_at(over, self.last(&subjects)).await else {
            return Ok(nothing());
        };
        let mut part = nothing();
        let (mut bytes, end) = (0, last.min(head));
        let mut follower =
            Follower::over(self.broker.clone(), INBOX_EVENTS, subjects, position).ahead(BATCH);
        'turn: while part.up_to < end && bytes < TURN_BYTES {
            let Ok(batch) = timeout_at(over, follower.next_batch(BATCH)).await else {
                return Ok(part);
            };
            for message in batch.map_err(|_| End::Recreated)? {
                part.up_to = message.sequence;
                // The read model has not come to it.
                if head < message.sequence {
                    break;
                }
                if max <= part.events.len() {
                    // This one is not looked at.
                    part.up_to = message.sequence - 1;
                    break 'turn;
                }
                let event = LiveEvent::read(message.sequence, &message.payload);
                if let Some(event) = event.filter(|event| filter.wants(event)) {
                    bytes += event.json.len();
                    part.events.push(Arc::new(event));
                }
            }
        }
        // Nothing of these subjects lies between the last one and the head.
        if end <= part.up_to {
            part.up_to = head;
        }
        Ok(part)
    }

    /// The position of the last message of these subjects; `None` where the broker does not say.
    async fn last(&self, subjects: &[String]) -> Option<u64> {
        let mut last = 0;
        for subject in subjects {
            let found = stored::last(self.broker.js(), INBOX_EVENTS, subject).await.ok()?;
            last = last.max(found.map_or(0, |message| message.sequence));
        }
        Some(last)
    }
}
