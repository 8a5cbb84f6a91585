//! `GET /v1/events`: the log by HTTP. What is handed out is what `/v1/live` shows, in the same order: up to what is projected, and without the words of
//! what was unsent meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use schemas::Channel;
use schemas::subjects::INBOX_EVENTS;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::broadcast;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::filter::{Filter, LiveEvent, LiveQuery, Place};
use super::past::{BATCH, Past};
use super::recent::Part;
use super::{hub, unsent};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Query, wait_of};
use crate::problem::Problem;
use crate::worker_views;

/// Events of a page unless the caller gives `limit`.
const LIMIT: usize = 100;
/// Most events of a page.
const LIMIT_MAX: usize = 1_000;
/// A page that has so many bytes is full.
const BYTES_MAX: usize = 4 << 20;
/// How long a page is read: what has been found by then is the answer.
const READ_MAX: Duration = Duration::from_secs(10);
/// How long the broker may bring nothing of what is there.
const STUCK: Duration = Duration::from_secs(10);
/// Before the next try.
const PAUSE: Duration = Duration::from_millis(250);

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// `next` of the answer before, or a position of INBOX_EVENTS; 0, or unset: from the first event that is kept.
    pub after: Option<u64>,
    /// Only these kinds, separated by commas.
    pub kinds: Option<String>,
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// Most events of the answer, 1 to 1000; 100 unless set.
    pub limit: Option<usize>,
    /// How long to wait for the first event, such as `20s`; at most `30s`.
    pub wait: Option<String>,
}

/// Events that are not kept any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gap {
    /// What was asked for begins after this position,
    pub after: u64,
    /// and what is kept begins at this one.
    pub first: u64,
}

/// A part of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Log {
    /// In the order of the stream, as they were published.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Box<RawValue>>,
    /// The `after` of the next request, also where there are no events.
    pub next: u64,
    /// Older events that retention has taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub gap: Option<Gap>,
}

/// Read the log
///
/// Events in the order of the stream, with the same ids. Delivery is at least once: drop what you have by `id` and `revision`. An answer may be
/// empty and its `next` later all the same: what was looked at does not match. With `wait` the answer comes with the first event.
///
/// # Errors
/// 409 `stream_reset` when the position is of another era of the stream or beyond its end; 422 naming the parameter; 503 `too_many_clients`, or when NATS is away.
#[utoipa::path(get, path = "/v1/events", tag = "live", params(LogQuery),
    responses((status = 200, body = Log), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn read(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<LogQuery>,
) -> Result<Json<Log>, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("use 1 to {LIMIT_MAX}")));
    }
    let LogQuery { after, kinds, channel, account_id, .. } = query;
    let wanted = LiveQuery { channel, account_id, kinds, ..LiveQuery::default() };
    let filter = Filter::new(&wanted, &caller.reach)?;
    let _place = app.live.join(&caller.name).await?;
    let recreations = app.live.hub.recreations();
    let era = worker_views::era_number(&app.pool, INBOX_EVENTS).await?;
    let after = after.filter(|after| *after != 0);
    let gap = match after.map(Place::of_id) {
        Some(place) => app.live.gap_after(era, place).await?.map_err(Problem::log_reset)?,
        None => None,
    };
    let position = after.map_or(0, |after| Place::of_id(after).position);
    let past = Past::new(&app.live, caller.name);
    let mut reading =
        Reading { past, recreations, filter, position, limit, bytes: 0, events: Vec::new() };
    reading.read(&app, Instant::now() + wait).await?;
    Ok(Json(Log {
        next: Place { era, position: reading.position }.to_id(),
        events: reading.events,
        gap: gap.map(|(after, first)| Gap { after, first }),
    }))
}

/// The next request is judged by the stream as it is then.
fn read_anew() -> Problem {
    Problem::unavailable("the stream is being read anew: repeat this in a moment")
}

struct Reading {
    past: Past,
    /// How often the stream had been made anew or put back before its era was read.
    recreations: u64,
    filter: Filter,
    /// Everything up to here was looked at.
    position: u64,
    limit: usize,
    bytes: usize,
    events: Vec<Box<RawValue>>,
}

impl Reading {
    /// Reads until the page is full, or all is read that there is; waits until `deadline` for the first event.
    async fn read(&mut self, app: &App, deadline: Instant) -> Result<(), Problem> {
        let hub = &app.live.hub;
        let over = Instant::now() + READ_MAX;
        loop {
            let (mut handed, head) = hub.subscribe();
            self.read_to(app, head, over).await?;
            if hub.recreations() != self.recreations {
                return Err(read_anew());
            }
            let has_come = !self.events.is_empty() || deadline <= Instant::now();
            if has_come || self.position < head || app.stopping.is_cancelled() {
                return Ok(());
            }
            tokio::select! {
                () = self.wanted(&mut handed) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = app.stopping.cancelled() => {}
            }
        }
    }

    /// Waits until something is handed out that is wanted, or might be.
    async fn wanted(&self, handed: &mut broadcast::Receiver<hub::Handed>) {
        loop {
            match handed.recv().await {
                Ok(hub::Handed::Event(event)) if self.filter.wants(&event) => return,
                Ok(hub::Handed::Event(_) | hub::Handed::Mended(_)) => {}
                Ok(hub::Handed::Recreated) | Err(_) => return,
            }
        }
    }

    /// Reads up to `head`, a full page, or until `over`.
    async fn read_to(&mut self, app: &App, head: u64, over: Instant) -> Result<(), Problem> {
        let mut moved = Instant::now();
        while self.position < head
            && self.events.len() < self.limit
            && self.bytes < BYTES_MAX
            && Instant::now() < over
            && !app.stopping.is_cancelled()
        {
            let free = self.limit - self.events.len();
            let part = match app.live.hub.recent(self.position, free.min(BATCH), &self.filter) {
                Some(part) => part,
                None => self
                    .past
                    .read(&self.filter, self.position, head, free)
                    .await
                    .map_err(|_| read_anew())?,
            };
            if self.position < part.up_to {
                moved = Instant::now();
            } else if STUCK < moved.elapsed() {
                return match self.events.is_empty() {
                    true => Err(Problem::unavailable("the broker is not reachable")),
                    false => Ok(()),
                };
            } else {
                tokio::time::sleep(PAUSE).await;
            }
            let Part { events, up_to } = part;
            let shown = unsent::without(&app.pool, events).await?;
            self.add(&shown, up_to);
        }
        Ok(())
    }

    /// Adds what fits. `up_to`: nothing else that is wanted lies before it.
    fn add(&mut self, shown: &[Arc<LiveEvent>], up_to: u64) {
        for event in shown {
            if self.limit <= self.events.len() {
                return;
            }
            self.position = event.sequence;
            self.bytes += event.json.len();
            // It was read as JSON before.
            self.events.extend(RawValue::from_string(event.json.clone()));
        }
        self.position = self.position.max(up_to);
    }
}
