//! What is done with one event: dropped, withdrawn, handed on, or handed on as unknown. Repeated until the handler has taken it, so that nothing
//! behind it overtakes it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::event::{Event, Read, read};
use crate::{BoxError, Store};

/// What is known of an event beside what it says.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Its position in the stream.
    pub position: u64,
    /// The job that published it again. An automation does not act on such an event.
    pub replay: Option<String>,
}

/// An event of a kind that this release does not know, or bytes that are no event.
#[derive(Clone, Debug)]
pub struct Unknown<'a> {
    /// As they were published.
    pub bytes: &'a [u8],
    /// Why it is not read.
    pub reason: &'a str,
}

/// Takes events, one at a time. What fails is reported, and the same event comes again.
pub trait Handler: Send {
    /// A fact.
    fn event(
        &mut self,
        event: &Event,
        meta: &Meta,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// The event of that id no longer holds, whatever its revision.
    fn withdrawn(
        &mut self,
        id: &str,
        event: &Event,
        meta: &Meta,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (id, event, meta);
        async { Ok(()) }
    }

    /// What this release cannot read. Skipped unless there is such a handler.
    fn unknown(
        &mut self,
        unknown: Unknown<'_>,
        meta: &Meta,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (unknown, meta);
        async { Ok(()) }
    }

    /// Something failed and is tried again.
    fn trouble(&mut self, error: BoxError, what: &str) {
        tracing::warn!(%error, "{what}");
    }
}

/// The first and the longest pause between tries of a handler.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The first.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { min: Duration::from_millis(500), max: Duration::from_secs(30) }
    }
}

/// Carries an event out, again and again until that works; false: `stop` came first, and it has to come again.
///
/// [`crate::follow()`] calls it; so may who has events from elsewhere.
pub async fn carry_out<H: Handler, S: Store>(
    bytes: &[u8],
    meta: &Meta,
    handler: &mut H,
    store: &mut S,
    retry: Retry,
    stop: &CancellationToken,
) -> bool {
    let mut pause = retry.min;
    while !stop.is_cancelled() {
        let Err(error) = once(bytes, meta, handler, store).await else { return true };
        handler.trouble(error, &format!("an event was not handled, next try in {pause:?}"));
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(retry.max);
    }
    false
}

async fn once<H: Handler, S: Store>(
    bytes: &[u8],
    meta: &Meta,
    handler: &mut H,
    store: &mut S,
) -> Result<(), BoxError> {
    let Read { identity, event } = read(bytes);
    if let Some((id, revision)) = &identity
        && store.has(id, *revision).await?
    {
        return Ok(());
    }
    match event {
        Err(reason) => handler.unknown(Unknown { bytes, reason: &reason }, meta).await?,
        Ok(event) => {
            if let Some(withdrawn) = event.withdraws() {
                handler.withdrawn(withdrawn, &event, meta).await?;
                store.withdraw(withdrawn).await?;
            } else if !store.is_withdrawn(&event.id).await? {
                handler.event(&event, meta).await?;
            }
        }
    }
    match identity {
        Some((id, revision)) => store.add(&id, revision).await,
        None => Ok(()),
    }
}
