//! The route `GET /v1/live`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::sse::{KeepAlive, Sse};
use futures::StreamExt;
use futures::stream::BoxStream;
use schemas::subjects::INBOX_EVENTS;

use super::client;
use super::filter::{Filter, LiveQuery, Place};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::Query;
use crate::problem::Problem;
use crate::{session, worker_views};

/// How often an idle connection is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often an open stream is compared with what its token allows.
const JUDGED_EVERY: Duration = Duration::from_secs(5);

/// The `Last-Event-ID` header, which browsers send when they connect again.
pub(crate) struct LastEventId(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let text = value
            .to_str()
            .map_err(|_| Problem::invalid("Last-Event-ID", "use the id of an event"))?;
        Ok(Self((!text.trim().is_empty()).then(|| text.trim().to_owned())))
    }
}

/// Events as they are projected
///
/// Server-sent events: `id` is the position in INBOX_EVENTS (in one that was adopted with the number of its era before it), `event` the kind, `data` the event as the contract has it. Starts with what
/// comes next; with `Last-Event-ID` (header, or `last_event_id`) right after that event. An event that had been set aside comes once more
/// when its rows are there, without an `id`. A `gap` event says that older events are not
/// kept any more; `: keep-alive` comments come every 15 s. A client that reads too slowly is disconnected and resumes.
///
/// # Errors
/// 409 `stream_reset` when the id is of another era of the stream or beyond its end; 503 `too_many_clients` (128 of one token, 512 of all), or when NATS is away.
#[utoipa::path(get, path = "/v1/live", tag = "live", params(LiveQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen.")),
    responses((status = 200, description = "A stream of events", content_type = "text/event-stream", body = String),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn live(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<LiveQuery>,
    last: LastEventId,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter::new(&query, &caller.reach)?;
    let after = match (last.0.as_deref(), query.last_event_id.as_deref()) {
        (Some(text), _) => Some(("Last-Event-ID", text)),
        (None, Some(text)) => Some(("last_event_id", text)),
        (None, None) => None,
    };
    let after = after
        .map(|(field, text)| {
            text.parse::<u64>()
                .map_err(|_| Problem::invalid(field, "use the id of an event, a whole number"))
        })
        .transpose()?;
    let stream = open(&app, &caller.name, filter, after).await?;
    let stream = stream.take_until(changed(app, caller));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")))
}

/// Returns once the caller's token is gone or allows something else: an open stream would go on by what it allowed. The client comes back
/// and is judged anew.
async fn changed(app: Arc<App>, caller: Caller) {
    while session::is_by_link(&caller) || app.tokens.get().has(&caller) {
        tokio::time::sleep(JUDGED_EVERY).await;
    }
}

/// Opens the stream of one client.
async fn open(
    app: &App,
    token: &str,
    filter: Filter,
    after: Option<u64>,
) -> Result<BoxStream<'static, Result<axum::response::sse::Event, Infallible>>, Problem> {
    let live = &app.live;
    let place = live.join(token).await?;
    let era = worker_views::era_number(&app.pool, INBOX_EVENTS).await?;
    let after = after.map(Place::of_id);
    let gap = match after {
        Some(place) => live.gap_after(era, place).await?.map_err(Problem::stream_reset)?,
        None => None,
    };
    let after = after.map(|after| after.position);
    Ok(client::stream(live, token.to_owned(), filter, era, after, gap, place))
}
