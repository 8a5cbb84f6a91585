//! The queue of an endpoint: lanes with held events. The first event of each is tried when its time has come; once it is delivered, the next
//! one follows at once.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use runtime::follow::stored;
use runtime::streams;
use schemas::subjects::INBOX_EVENTS;
use tokio_util::sync::CancellationToken;

use crate::breaker::{State, Turn};
use crate::item;
use crate::shared::{Ended, Shared, Tasks};
use crate::store::{Head, name};

/// How often the queue is looked at; it is also woken.
const LOOK: Duration = Duration::from_millis(500);
/// How often the held events are counted.
const COUNT: Duration = Duration::from_secs(5);
const LANES_MAX: i64 = 16;

/// Works the queue until `stop`.
pub(crate) async fn run(shared: &Arc<Shared>, tasks: &Tasks, stop: &CancellationToken) {
    let mut counted: Option<std::time::Instant> = None;
    loop {
        if let Err(error) = look(shared, tasks).await {
            tracing::debug!(endpoint.id = shared.id, %error, "The queue cannot be read now; trying again");
        }
        if counted.is_none_or(|at| COUNT <= at.elapsed()) {
            counted = Some(std::time::Instant::now());
            if let Ok(held) = shared.store.count().await {
                #[allow(clippy::cast_precision_loss)] // a count of rows
                metrics::gauge!("hookline_endpoint_held_messages", "endpoint" => shared.id.clone())
                    .set(held as f64);
            }
        }
        // Tasks that have ended are let go.
        while tasks.lock().unwrap_or_else(PoisonError::into_inner).try_join_next().is_some() {}
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            () = shared.woken.notified() => {}
        }
    }
}

/// Begins with the lanes that are due.
async fn look(shared: &Arc<Shared>, tasks: &Tasks) -> sqlx::Result<()> {
    if shared.all_due.swap(false, Ordering::Relaxed) {
        let made = shared.store.make_all_due(&shared.breaker()).await;
        made.inspect_err(|_| shared.all_due.store(true, Ordering::Relaxed))?;
    }
    let failing = match shared.state() {
        State::Active => false,
        State::Failing => true,
        State::Disabled => return Ok(()),
    };
    let max = if failing { 1 } else { LANES_MAX };
    let due = shared.store.due(&shared.busy(), failing, max).await?;
    for lane in due {
        if failing {
            let other = shared.reader_waits.load(Ordering::Relaxed);
            let now = runtime::now();
            if !shared.with_breaker(|breaker| breaker.may_probe(Turn::Held, other, now)) {
                return Ok(());
            }
        }
        if !shared.take_lane(&lane) {
            if failing {
                shared.with_breaker(crate::breaker::Breaker::not_probed);
            }
            continue;
        }
        let shared = shared.clone();
        let task = async move {
            let ended = drain(&shared, &lane).await;
            if failing {
                shared.with_breaker(crate::breaker::Breaker::not_probed);
            }
            if let Err(error) = ended {
                tracing::debug!(endpoint.id = shared.id, %error, "A held event cannot be read now; trying again");
                tokio::time::sleep(LOOK).await;
            }
            shared.leave_lane(&lane, true);
        };
        tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
    Ok(())
}

/// Delivers the held events of a lane, in order, until one fails.
async fn drain(shared: &Arc<Shared>, lane: &str) -> anyhow::Result<()> {
    let Ok(_permit) = shared.queued.acquire().await else { return Ok(()) };
    while let Some(head) = shared.store.head(lane).await? {
        let Some(ended) = deliver(shared, &head).await? else { return Ok(()) };
        let attempts = u32::try_from(head.attempts).unwrap_or(0);
        shared.settle(lane, head.sequence, &ended, attempts).await;
        if !ended.is_delivered() || shared.state() != State::Active {
            return Ok(());
        }
    }
    Ok(())
}

/// `None`: not now.
async fn deliver(shared: &Shared, head: &Head) -> anyhow::Result<Option<Ended>> {
    if shared.is_delivered(head.sequence) {
        return Ok(Some(Ended::GONE_FROM_STREAM));
    }
    let found = stored::at(shared.broker.js(), INBOX_EVENTS, head.sequence).await?;
    // Where another one stands there, the stream is another one: its reader stops, and nothing is decided here.
    if found.as_ref().is_some_and(|message| message.stored_at != head.stored_at) {
        return Ok(None);
    }
    // Erased, or past its age; or the stream is empty, behind or another one.
    if found.is_none() && !is_the_stream(shared).await? {
        return Ok(None);
    }
    let Some(message) = found else {
        tracing::info!(
            endpoint.id = shared.id,
            sequence = head.sequence,
            "A held event is no longer in the stream"
        );
        return Ok(Some(Ended::GONE_FROM_STREAM));
    };
    // Held before the definition was changed.
    if !shared.definition.borrow().wanted.has(&message.subject) {
        return Ok(Some(Ended::GONE_FROM_STREAM));
    }
    let Some(item) = item::item(head.sequence, message.stored_at, &message.payload) else {
        return Ok(Some(Ended::GONE_FROM_STREAM));
    };
    let ended = shared.deliver(&head.webhook_id, &item.body).await;
    if ended.is_some_and(|ended| ended.is_delivered()) {
        shared.note_delivered(head.sequence);
    }
    Ok(ended)
}

/// Whether the broker has the INBOX_EVENTS that the position of the endpoint is of, up to it at least.
async fn is_the_stream(shared: &Shared) -> anyhow::Result<bool> {
    let leases = &shared.store.leases;
    let position = leases.position(&name(&shared.id)).await?;
    let Some(stream) = streams::find(shared.broker.js(), INBOX_EVENTS).await? else {
        return Ok(false);
    };
    let info = stream.cached_info();
    let is_of_era = position.era.is_none_or(|era| streams::era_of(info) == era);
    Ok(is_of_era && position.seq <= info.state.last_sequence)
}
