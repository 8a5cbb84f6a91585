//! One client of `/v1/live`: the past by a reader of its own, then what the hub hands out.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse;
use futures::StreamExt;
use futures::stream::BoxStream;
use runtime::follow::Follower;
use runtime::lease::Position;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::filter::{Filter, LiveEvent, Place};
use super::source::Live;
use super::{hub, mended};
use crate::projected::Projected;

/// Events that wait for a client's socket.
const WAITING: usize = 64;
/// A client that takes nothing for this long is cut.
const STUCK: Duration = Duration::from_secs(30);
/// Events read from the past at once.
const BATCH: usize = 128;

/// Why a client's stream ends.
enum End {
    /// The client went away.
    Gone,
    /// It does not read; it may resume.
    TooSlow,
    /// The stream was recreated; the client gets `stream_reset` when it connects again.
    Recreated,
}

/// The stream of one client, driven by a task of its own that ends with it.
pub(super) fn stream(
    live: &Live,
    filter: Filter,
    era: u64,
    after: Option<u64>,
    gap: Option<(u64, u64)>,
    place: OwnedSemaphorePermit,
) -> BoxStream<'static, Result<sse::Event, Infallible>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (events, head) = live.hub.subscribe();
    let client = Client {
        hub: live.hub.clone(),
        pool: live.pool.clone(),
        broker: live.broker.clone(),
        projected: live.projected.clone(),
        turns: live.catching_up.clone(),
        filter,
        era,
        position: after.unwrap_or(head),
        resumes: after.is_some(),
        sender,
    };
    let shutdown = live.shutdown.clone();
    tokio::spawn(async move {
        metrics::gauge!("hookline_api_live_clients").increment(1.0);
        let gone = client.sender.clone();
        let end = tokio::select! {
            () = shutdown.cancelled() => End::Gone,
            () = gone.closed() => End::Gone,
            end = client.run(events, head, gap) => end,
        };
        if matches!(end, End::TooSlow) {
            metrics::counter!("hookline_api_live_cut_total").increment(1);
        }
        metrics::gauge!("hookline_api_live_clients").decrement(1.0);
        drop(place);
    });
    ReceiverStream::new(receiver).map(Ok).boxed()
}

struct Client {
    hub: hub::Hub,
    pool: PgPool,
    broker: runtime::broker::Broker,
    projected: Projected,
    turns: std::sync::Arc<tokio::sync::Semaphore>,
    filter: Filter,
    /// The number of the era of INBOX_EVENTS: a part of every id.
    era: u64,
    /// Everything up to here was looked at.
    position: u64,
    /// It was connected before.
    resumes: bool,
    sender: mpsc::Sender<sse::Event>,
}

impl Client {
    async fn run(
        mut self,
        mut events: broadcast::Receiver<hub::Handed>,
        mut head: u64,
        gap: Option<(u64, u64)>,
    ) -> End {
        if let Some((after, first)) = gap {
            let data = serde_json::json!({"after": after, "first": first}).to_string();
            if let Err(end) = self.put(sse::Event::default().event("gap").data(data)).await {
                return end;
            }
        }
        if self.resumes {
            for event in mended::missed(&self.pool, &self.broker, self.position).await {
                if let Err(end) = self.show_again(&event).await {
                    return end;
                }
            }
        }
        loop {
            if self.position < head {
                drop(events);
                if let Err(end) = self.catch_up().await {
                    return end;
                }
                (events, head) = self.hub.subscribe();
                continue;
            }
            match events.recv().await {
                Ok(hub::Handed::Event(event)) => {
                    if let Err(end) = self.look_at(&event).await {
                        return end;
                    }
                }
                Ok(hub::Handed::Mended(event)) => {
                    if let Err(end) = self.show_again(&event).await {
                        return end;
                    }
                }
                Ok(hub::Handed::Recreated) => return End::Recreated,
                Err(broadcast::error::RecvError::Lagged(_)) => return End::TooSlow,
                Err(broadcast::error::RecvError::Closed) => return End::Gone,
            }
        }
    }

    /// Reads the past until it meets what the hub hands out.
    async fn catch_up(&mut self) -> Result<(), End> {
        let turns = self.turns.clone();
        // The semaphore is never closed.
        let _turn = turns.acquire_owned().await.map_err(|_| End::Gone)?;
        let at = Position { seq: self.position, ..Position::default() };
        let mut follower = Follower::new(self.broker.clone(), INBOX_EVENTS, EVENT_ALL, at);
        while self.position < self.hub.position() {
            let batch = follower.next_batch(BATCH).await.map_err(|_| End::Recreated)?;
            for message in batch {
                self.projected.reach(message.sequence).await;
                match LiveEvent::read(message.sequence, &message.payload) {
                    Some(event) => self.look_at(&event).await?,
                    None => self.position = self.position.max(message.sequence),
                }
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, event: &LiveEvent) -> Result<(), End> {
        if event.sequence <= self.position {
            return Ok(());
        }
        if self.filter.wants(event) {
            let line = sse::Event::default()
                .id(Place { era: self.era, position: event.sequence }.to_id().to_string())
                .event(&event.kind)
                .data(&event.json);
            self.put(line).await?;
        }
        self.position = event.sequence;
        Ok(())
    }

    /// An event whose rows are there only now; one that is still to come is not shown twice.
    async fn show_again(&self, event: &LiveEvent) -> Result<(), End> {
        if self.position < event.sequence || !self.filter.wants(event) {
            return Ok(());
        }
        self.put(sse::Event::default().event(&event.kind).data(&event.json)).await
    }

    async fn put(&self, line: sse::Event) -> Result<(), End> {
        match self.sender.send_timeout(line, STUCK).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(End::TooSlow),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Gone),
        }
    }
}
