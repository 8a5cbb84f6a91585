//! One client of `/v1/live`: what it missed from memory or from the broker, then what the hub hands out.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse;
use futures::StreamExt;
use futures::stream::BoxStream;
use sqlx::PgPool;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::end::End;
use super::filter::{Filter, LiveEvent, Place};
use super::past::{BATCH, Past};
use super::source::Live;
use super::{hub, mended, unsent};
use crate::turns::Turn;

/// Events that wait for a client's socket.
const WAITING: usize = 64;
/// A client that takes nothing for this long is cut.
const STUCK: Duration = Duration::from_secs(30);
/// Before the next try, where a turn brought nothing.
const PAUSE: Duration = Duration::from_millis(250);

/// The stream of one client, driven by a task of its own that ends with it.
pub(super) fn stream(
    live: &Live,
    token: String,
    filter: Filter,
    era: u64,
    after: Option<u64>,
    gap: Option<(u64, u64)>,
    place: Turn,
) -> BoxStream<'static, Result<sse::Event, Infallible>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (events, head) = live.hub.subscribe();
    let client = Client {
        hub: live.hub.clone(),
        pool: live.pool.clone(),
        past: Past::new(live, token),
        filter,
        era,
        position: after.unwrap_or(head),
        away: None,
        resumes: after.is_some(),
        recreations: live.hub.recreations(),
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
    past: Past,
    filter: Filter,
    /// The number of the era of INBOX_EVENTS: a part of every id.
    era: u64,
    /// Everything up to here was looked at.
    position: u64,
    /// What was mended since it was here is not shown yet.
    away: Option<mended::Away>,
    /// It was connected before.
    resumes: bool,
    /// How often the stream was another one before it came.
    recreations: u64,
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
            self.away = Some(mended::Away::since(&self.pool, self.position).await);
        }
        loop {
            if self.hub.recreations() != self.recreations {
                return End::Recreated;
            }
            if self.position < head {
                if self.away.is_none() {
                    self.away = Some(mended::Away::since(&self.pool, self.position).await);
                }
                // What is handed out meanwhile would be too much for it.
                drop(events);
                if let Err(end) = self.catch_up(head).await {
                    return end;
                }
                (events, head) = self.hub.subscribe();
                continue;
            }
            if let Some(away) = self.away.take() {
                let missed =
                    mended::missed(&self.pool, &self.past.broker, away, self.position).await;
                for event in &missed {
                    if let Err(end) = self.show_again(event).await {
                        return end;
                    }
                }
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

    /// Sends some of what lies before `head`.
    async fn catch_up(&mut self, head: u64) -> Result<(), End> {
        let part = match self.hub.recent(self.position, BATCH, &self.filter) {
            Some(part) => part,
            None => self.past.read(&self.filter, self.position, head, usize::MAX).await?,
        };
        let Ok(events) = unsent::without(&self.pool, part.events).await else {
            // Nothing of it is shown before it is known what was unsent.
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        };
        if part.up_to <= self.position {
            tokio::time::sleep(PAUSE).await;
        }
        for event in &events {
            self.look_at(event).await?;
        }
        self.position = self.position.max(part.up_to);
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
