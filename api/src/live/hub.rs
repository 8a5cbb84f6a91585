//! The shared reader: follows INBOX_EVENTS and hands out what the read model has come to.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use runtime::broker::Broker;
use runtime::follow::{RECREATED_PAUSE, Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::lease::Position;
use schemas::facts::CommandOutcome;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};
use schemas::{CommandId, Event, Fact};
use sqlx::PgPool;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::filter::{Filter, LiveEvent};
use super::mended;
use super::recent::{Part, Recent};
use crate::projected::Projected;
use crate::status::CommandStatus;

/// Events kept for clients that are a little behind; who falls further behind is cut.
const KEPT: usize = 1024;
/// Events read at once.
const BATCH: usize = 256;

/// A command's outcome.
pub(crate) struct Outcome {
    pub status: CommandStatus,
    pub fact: CommandOutcome,
}

/// What is handed out.
#[derive(Clone)]
pub(crate) enum Handed {
    /// An event.
    Event(Arc<LiveEvent>),
    /// One that was set aside when it came, and is in the read model now.
    Mended(Arc<LiveEvent>),
    /// The stream was recreated: positions mean something else from now on.
    Recreated,
}

/// Handle on the shared reader.
#[derive(Clone)]
pub(crate) struct Hub {
    events: broadcast::Sender<Handed>,
    /// `None` before it has started.
    position: watch::Receiver<Option<u64>>,
    recent: Arc<Mutex<Option<Recent>>>,
    recreations: Arc<AtomicU64>,
}

impl Hub {
    /// Starts it at the present position of the read model.
    pub(crate) fn start(
        pool: PgPool,
        broker: Broker,
        projected: Projected,
        shutdown: CancellationToken,
    ) -> Self {
        let (hub, out) = pair();
        let mut reader = Shared { out, projected };
        let source = Source {
            stream: INBOX_EVENTS,
            filter: EVENT_ALL.to_owned(),
            messages_max: BATCH,
            bytes_max: usize::MAX,
        };
        let sender = hub.events.clone();
        let mended = mended::follow(pool, broker.clone(), move |event| {
            // An error: no client is subscribed.
            let _ = sender.send(Handed::Mended(event));
        });
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(mended));
        tokio::spawn(async move {
            // It may wait for the read model in the middle of a batch.
            shutdown.run_until_cancelled(follow(&broker, &source, &mut reader, &shutdown)).await;
        });
        hub
    }

    /// Waits until the reader has started: before that it is not known what a client has missed.
    pub(crate) async fn started(&self) {
        let mut position = self.position.clone();
        if position.wait_for(Option::is_some).await.is_err() {
            // The process stops.
            std::future::pending::<()>().await;
        }
    }

    /// How often the stream was found to be another one: a client of before has positions that mean nothing any more. One that subscribes again
    /// does not hear of it.
    pub(crate) fn recreations(&self) -> u64 {
        self.recreations.load(Ordering::SeqCst)
    }

    /// Everything up to here was handed out, or is about to be; 0 before the start.
    pub(crate) fn position(&self) -> u64 {
        self.position.borrow().unwrap_or_default()
    }

    /// What is handed out from now on, and the position before it: everything up to it is to be read elsewhere.
    pub(crate) fn subscribe(&self) -> (broadcast::Receiver<Handed>, u64) {
        // In this order: what comes in between is seen twice rather than never, and recognised by its position.
        let receiver = self.events.subscribe();
        (receiver, self.position())
    }

    /// At most `max` events after `position` that a client wants; `None` where they are not in memory any more.
    pub(super) fn recent(&self, position: u64, max: usize, filter: &Filter) -> Option<Part> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.as_ref()?.after(position, max, |event| filter.wants(event))
    }

    /// Whether all events after `position` are in memory.
    pub(super) fn has(&self, position: u64) -> bool {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.as_ref().is_some_and(|recent| recent.has(position))
    }

    /// Waits for the outcome of a command that is published after this call. `None`: too much came at once; it may be there already.
    pub(crate) fn outcome_of(
        &self,
        command: CommandId,
    ) -> impl Future<Output = Option<Outcome>> + Send + use<> {
        let mut events = self.events.subscribe();
        async move {
            loop {
                let event = match events.recv().await.ok()? {
                    Handed::Event(event) | Handed::Mended(event) => event,
                    Handed::Recreated => return None,
                };
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

/// A hub, and where what it hands out is put.
fn pair() -> (Hub, Out) {
    let (events, _) = broadcast::channel(KEPT);
    let (moved, position) = watch::channel(None);
    let hub = Hub { events, position, recent: Arc::default(), recreations: Arc::default() };
    let out = Out {
        events: hub.events.clone(),
        moved,
        recent: Arc::clone(&hub.recent),
        recreations: Arc::clone(&hub.recreations),
    };
    (hub, out)
}

fn outcome(event: Event) -> Option<Outcome> {
    let (status, fact) = match event.data.fact {
        Fact::CommandDone(fact) => (CommandStatus::Done, fact),
        Fact::CommandFailed(fact) => (CommandStatus::Failed, fact),
        Fact::CommandUnknown(fact) => (CommandStatus::Unknown, fact),
        _ => return None,
    };
    Some(Outcome { status, fact })
}

/// Where the shared reader puts what it reads.
struct Out {
    events: broadcast::Sender<Handed>,
    moved: watch::Sender<Option<u64>>,
    recent: Arc<Mutex<Option<Recent>>>,
    recreations: Arc<AtomicU64>,
}

impl Out {
    fn keep(&self, change: impl FnOnce(&mut Option<Recent>)) {
        change(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything after this position will be handed out.
    fn begin(&self, position: u64) {
        self.keep(|recent| *recent = Some(Recent::begin(position)));
        self.moved.send_replace(Some(position));
    }

    /// Hands out one position of the stream, with the event that is there.
    fn put(&self, position: u64, event: Option<LiveEvent>) {
        let event = event.map(Arc::new);
        // A client that sees the position finds the event in memory.
        self.keep(|recent| {
            if let Some(recent) = recent {
                recent.push(position, event.as_ref());
            }
        });
        // The position goes first: a client that subscribes in between reads the event elsewhere. The other way round it would miss it.
        self.moved.send_replace(Some(position));
        if let Some(event) = event {
            // An error: no client is subscribed.
            let _ = self.events.send(Handed::Event(event));
        }
    }

    /// Reports to all clients that their positions are void.
    fn recreated(&self) {
        self.recreations.fetch_add(1, Ordering::SeqCst);
        self.keep(|recent| *recent = None);
        self.moved.send_replace(None);
        let _ = self.events.send(Handed::Recreated);
    }
}

/// Hands out what the read model has come to.
struct Shared {
    out: Out,
    projected: Projected,
}

impl Reader for Shared {
    type Error = Infallible;

    /// The present one of the read model: clients read what was before it there.
    async fn position(&mut self) -> Result<Position, Infallible> {
        let start = self.projected.known().await;
        self.out.begin(start);
        Ok(Position { seq: start, ..Position::default() })
    }

    async fn take(&mut self, batch: &[Received], _: u64, _: Position) -> Result<Taken, Infallible> {
        for message in batch {
            self.projected.reach(message.sequence).await;
            self.out.put(message.sequence, LiveEvent::read(message.sequence, &message.payload));
        }
        Ok(Taken::Yes)
    }

    fn failed(&mut self, error: &Infallible, _: u32) {
        match *error {}
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        tracing::warn!(error = %recreated, "Live events stopped; looking again");
        self.out.recreated();
    }

    /// The read model goes back by itself.
    async fn put_back(&mut self, _: Position) -> Result<Taken, Infallible> {
        self.out.recreated();
        tokio::time::sleep(RECREATED_PAUSE).await;
        Ok(Taken::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_subscribes_at_any_moment_misses_nothing() {
        const EVENTS: u64 = 60_000;
        let (hub, out) = pair();
        let json = r#"{"type":"hookline.message.read.v1","data":{"channel":"instagram","account_id":"1"}}"#;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for n in 1..=EVENTS {
                    out.put(n, LiveEvent::read(n, json.as_bytes()));
                }
            });
            while hub.position() < EVENTS {
                let (mut receiver, head) = hub.subscribe();
                let first = loop {
                    match receiver.try_recv() {
                        Ok(Handed::Event(event)) if event.sequence <= head => {}
                        Ok(Handed::Event(event)) => break event.sequence,
                        Err(broadcast::error::TryRecvError::Empty) if hub.position() < EVENTS => {}
                        // Too slow, which cuts a client, or the end.
                        _ => break head + 1,
                    }
                };
                assert_eq!(first, head + 1);
            }
        });
    }
}
