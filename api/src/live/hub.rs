//! The shared reader: follows INBOX_EVENTS and hands out what the read model has come to.

use std::sync::Arc;
use std::time::Duration;

use runtime::broker::Broker;
use runtime::follow::Follower;
use schemas::facts::CommandOutcome;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};
use schemas::{CommandId, Event, Fact};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::filter::LiveEvent;
use crate::wait::Projected;

/// Events kept for clients that are a little behind; who falls further behind is cut.
const KEPT: usize = 1024;
/// Events read at once.
const BATCH: usize = 256;
/// How long to wait before looking again at a stream that was made anew.
const ANEW: Duration = Duration::from_secs(5);

/// A command's outcome.
pub struct Outcome {
    /// `done`, `failed` or `unknown`.
    pub status: &'static str,
    /// What it says.
    pub fact: CommandOutcome,
}

/// Handle on the shared reader.
#[derive(Clone)]
pub struct Hub {
    events: broadcast::Sender<Arc<LiveEvent>>,
    position: watch::Receiver<u64>,
}

impl Hub {
    /// Starts it at the present position of the read model.
    pub fn start(broker: Broker, projected: Projected, shutdown: CancellationToken) -> Self {
        let (events, _) = broadcast::channel(KEPT);
        let (moved, position) = watch::channel(0);
        let sender = events.clone();
        tokio::spawn(async move {
            let _ = shutdown
                .run_until_cancelled(async {
                    loop {
                        read(&broker, &projected, &sender, &moved).await;
                        tokio::time::sleep(ANEW).await;
                    }
                })
                .await;
        });
        Self { events, position }
    }

    /// What is handed out from now on, and the position before it: everything up to it was handed out earlier.
    pub fn subscribe(&self) -> (broadcast::Receiver<Arc<LiveEvent>>, u64) {
        // In this order: what comes in between is seen twice rather than never, and told apart by its position.
        let receiver = self.events.subscribe();
        (receiver, *self.position.borrow())
    }

    /// Waits for the outcome of a command that is published after this call. `None`: too much came at once; it may be there already.
    pub fn outcome_of(
        &self,
        command: CommandId,
    ) -> impl Future<Output = Option<Outcome>> + Send + use<> {
        let mut events = self.events.subscribe();
        async move {
            loop {
                let event = events.recv().await.ok()?;
                if event.kind.starts_with("command.")
                    && let Ok(read) = serde_json::from_str::<Event>(&event.json)
                    && let Some(outcome) = outcome(read)
                    && outcome.fact.command_id == command
                {
                    return Some(outcome);
                }
            }
        }
    }
}

fn outcome(event: Event) -> Option<Outcome> {
    let (status, fact) = match event.data.fact {
        Fact::CommandDone(fact) => ("done", fact),
        Fact::CommandFailed(fact) => ("failed", fact),
        Fact::CommandUnknown(fact) => ("unknown", fact),
        _ => return None,
    };
    Some(Outcome { status, fact })
}

/// Reads until the stream turns out to be another one.
async fn read(
    broker: &Broker,
    projected: &Projected,
    events: &broadcast::Sender<Arc<LiveEvent>>,
    moved: &watch::Sender<u64>,
) {
    let start = projected.known().await;
    moved.send_replace(start);
    let mut follower = Follower::new(broker.clone(), INBOX_EVENTS, EVENT_ALL, start, None);
    loop {
        let batch = match follower.next_batch(BATCH).await {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, "Live events stopped; looking again");
                return;
            }
        };
        for message in batch {
            projected.reach(message.sequence).await;
            if let Some(event) = LiveEvent::read(message.sequence, &message.payload) {
                // An error says that nobody listens.
                let _ = events.send(Arc::new(event));
            }
            moved.send_replace(message.sequence);
        }
    }
}
