//! The loop of a reader: position, batch, effect, and again; whatever fails is tried again after a pause.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::follower::{Follower, StreamRecreated, Unfollowable};
use super::received::Received;
use crate::broker::Broker;
use crate::lease::Position;
use crate::retry::Backoff;
use crate::streams::Era;

/// How long to wait before looking again at a stream that was made anew: an operator restores or adopts it, and its readers go on soon after.
pub const RECREATED_PAUSE: Duration = Duration::from_secs(2);
/// A stream that was followed for this long without complaint is the one the position belongs to.
const TRUSTED_AFTER: Duration = Duration::from_secs(5);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What is read, and how much at once.
#[derive(Clone, Debug)]
pub struct Source {
    /// The stream.
    pub stream: &'static str,
    /// Subjects of the stream to read; the others are skipped by the broker.
    pub filter: String,
    /// Messages handed to [`Reader::take`] at once, at most.
    pub messages_max: usize,
    /// Bytes of their bodies, at most; a larger message comes alone.
    pub bytes_max: usize,
}

/// Whether messages took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// They did, and the position is behind them.
    Yes,
    /// They did not, and this process is not to try again: somebody else holds the lease or moved the position.
    Lost,
}

/// Why [`follow`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was to stop.
    Stopped,
    /// [`Taken::Lost`]: seek the lease again and start from the stored position.
    Lost,
}

/// What a stream is followed for.
pub trait Reader: Send {
    /// Why something failed for now.
    type Error: Send;

    /// The stored position. Asked for at the start, and again after [`Reader::recreated`].
    ///
    /// # Errors
    /// Given to [`Reader::failed`]; asked for again after a pause.
    fn position(&mut self) -> impl Future<Output = Result<Position, Self::Error>> + Send;

    /// Gives effect to `batch` and moves the position from `from` to `to`: both or neither. It is not interrupted by the stop of the
    /// process; whoever calls [`follow`] limits how long it may go on.
    ///
    /// # Errors
    /// Given to [`Reader::failed`]; the same messages come again after a pause.
    fn take(
        &mut self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> impl Future<Output = Result<Taken, Self::Error>> + Send;

    /// Reading the position or taking messages failed, for the time number `failures` in a row, from 1: to be logged.
    fn failed(&mut self, error: &Self::Error, failures: u32);

    /// The first success after [`Reader::failed`].
    fn recovered(&mut self) {}

    /// So many messages have not taken effect; reported before and after every [`Reader::take`], also where it fails.
    fn lag(&mut self, messages: u64) {
        let _ = messages;
    }

    /// The stream is another one than the position belongs to; going on would skip or repeat. To be logged: an operator must act. Not
    /// repeated until [`Reader::trusted`] or [`Reader::recovered`].
    fn recreated(&mut self, recreated: &StreamRecreated);

    /// The stream does not have the message at the stored position, or another one there: it was put back to an earlier state. Sets the
    /// stored position to the beginning; what is read again changes nothing. Then the position is asked for again.
    ///
    /// # Errors
    /// Given to [`Reader::failed`]; called again after a pause.
    fn put_back(
        &mut self,
        stored: Position,
    ) -> impl Future<Output = Result<Taken, Self::Error>> + Send;

    /// After [`Reader::recreated`]: the stream is the right one again.
    fn trusted(&mut self) {}
}

/// Reads `source` from the stored position on until `stop`, or until the position turns out to be somebody else's. Trouble with the broker,
/// and every error of the reader, is waited out here with growing pauses.
pub async fn follow<R: Reader>(
    broker: &Broker,
    source: &Source,
    reader: &mut R,
    stop: &CancellationToken,
) -> End {
    let open = |at| Follower::new(broker.clone(), source.stream, source.filter.clone(), at);
    let backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let (recreated_pause, trusted_after) = (RECREATED_PAUSE, TRUSTED_AFTER);
    let work = Work { source, reader, stop, backoff, recreated_pause, trusted_after };
    // An error is an end.
    work.run(open).await.unwrap_or_else(|end| end)
}

/// What messages come from: a [`Follower`], or a test.
trait Feed: Send {
    fn next_batch(
        &mut self,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Received>, Unfollowable>> + Send;
    fn era(&self) -> Option<Era>;
    fn pending(&self) -> u64;
    /// Whether the stream was last found to be the one that the position is of.
    fn is_right(&self) -> Arc<AtomicBool>;
    /// As `pending`, as of now.
    fn waiting(&mut self) -> impl Future<Output = u64> + Send;
}

impl Feed for Follower {
    async fn next_batch(&mut self, max: usize) -> Result<Vec<Received>, Unfollowable> {
        Self::next_batch(self, max).await
    }

    fn era(&self) -> Option<Era> {
        Self::era(self)
    }

    fn pending(&self) -> u64 {
        Self::pending(self)
    }

    fn is_right(&self) -> Arc<AtomicBool> {
        Self::is_right(self)
    }

    async fn waiting(&mut self) -> u64 {
        Self::waiting(self).await
    }
}

struct Work<'a, R> {
    source: &'a Source,
    reader: &'a mut R,
    stop: &'a CancellationToken,
    backoff: Backoff,
    recreated_pause: Duration,
    trusted_after: Duration,
}

/// What is thought of a stream that was found to be another one.
#[derive(Default)]
struct Doubt {
    /// It was not seen to be the right one since.
    open: bool,
    /// The reader knows, and has not reported since that all is well.
    reported: bool,
}

impl<R: Reader> Work<'_, R> {
    async fn run<F: Feed>(mut self, open: impl Fn(Position) -> F) -> Result<End, End> {
        let mut doubt = Doubt::default();
        loop {
            let mut at = self.position(&mut doubt).await?;
            let mut feed = open(at);
            let ended = loop {
                match self.next(&mut feed, &mut doubt).await? {
                    Ok(batch) => self.take_all(&mut feed, &batch, &mut at).await?,
                    Err(ended) => break ended,
                }
            };
            match ended {
                Unfollowable::Recreated(recreated) => {
                    if !(doubt.open && doubt.reported) {
                        self.reader.recreated(&recreated);
                    }
                    doubt = Doubt { open: true, reported: true };
                    self.sleep(self.recreated_pause).await?;
                }
                Unfollowable::PutBack(put_back) => {
                    tracing::warn!(stream = self.source.stream, "{put_back}");
                    self.put_back(at).await?;
                }
            }
        }
    }

    async fn position(&mut self, doubt: &mut Doubt) -> Result<Position, End> {
        loop {
            match self.reader.position().await {
                Ok(position) => {
                    doubt.reported &= !self.succeeded();
                    return Ok(position);
                }
                Err(error) => self.wait(&error).await?,
            }
        }
    }

    async fn put_back(&mut self, at: Position) -> Result<(), End> {
        loop {
            match self.reader.put_back(at).await {
                Ok(Taken::Yes) => {
                    self.succeeded();
                    return Ok(());
                }
                Ok(Taken::Lost) => return Err(End::Lost),
                Err(error) => self.wait(&error).await?,
            }
        }
    }

    async fn next<F: Feed>(
        &mut self,
        feed: &mut F,
        doubt: &mut Doubt,
    ) -> Result<Result<Vec<Received>, Unfollowable>, End> {
        let is_right = feed.is_right();
        let mut next = pin!(feed.next_batch(self.source.messages_max));
        let received = loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(End::Stopped),
                received = &mut next => break received,
                // Silence alone may be a broker that is away.
                () = tokio::time::sleep(self.trusted_after), if doubt.open => {
                    if is_right.load(Ordering::Relaxed) {
                        doubt.open = false;
                        self.reader.trusted();
                        // Nothing came: what was not known before is nothing.
                        self.reader.lag(0);
                    }
                }
            }
        };
        if received.is_ok() && std::mem::replace(&mut doubt.open, false) {
            self.reader.trusted();
        }
        Ok(received)
    }

    async fn take_all<F: Feed>(
        &mut self,
        feed: &mut F,
        batch: &[Received],
        at: &mut Position,
    ) -> Result<(), End> {
        let mut left = batch.len() as u64;
        self.reader.lag(left + feed.pending());
        for part in parts(batch, self.source.bytes_max) {
            let Some(last) = part.last() else { continue };
            let to = last.position(feed.era());
            self.take(part, at.seq, to, feed, left).await?;
            *at = to;
            left = left.saturating_sub(part.len() as u64);
            self.reader.lag(left + feed.pending());
            if self.stop.is_cancelled() {
                return Err(End::Stopped);
            }
        }
        Ok(())
    }

    async fn take<F: Feed>(
        &mut self,
        part: &[Received],
        from: u64,
        to: Position,
        feed: &mut F,
        left: u64,
    ) -> Result<(), End> {
        loop {
            // On the heap: futures of readers are large and deep.
            match Box::pin(self.reader.take(part, from, to)).await {
                Ok(Taken::Yes) => {
                    self.succeeded();
                    return Ok(());
                }
                Ok(Taken::Lost) => return Err(End::Lost),
                Err(error) => {
                    self.wait(&error).await?;
                    // More may have come meanwhile: a reader that stands still is further behind every time.
                    self.reader.lag(left + feed.waiting().await);
                }
            }
        }
    }

    /// `true`: it had failed before.
    fn succeeded(&mut self) -> bool {
        let had_failed = self.backoff.attempts() > 0;
        if had_failed {
            self.backoff.reset();
            self.reader.recovered();
        }
        had_failed
    }

    async fn wait(&mut self, error: &R::Error) -> Result<(), End> {
        let pause = self.backoff.next(rand::random());
        self.reader.failed(error, self.backoff.attempts());
        self.sleep(pause).await
    }

    async fn sleep(&self, pause: Duration) -> Result<(), End> {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.ok_or(End::Stopped)
    }
}

/// Cuts a batch so that no transaction grows without bound: each part holds at most `bytes_max`, or one message.
pub fn parts(batch: &[Received], bytes_max: usize) -> Vec<&[Received]> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0_usize);
    for (n, message) in batch.iter().enumerate() {
        if n > from && bytes + message.payload.len() > bytes_max {
            parts.push(&batch[from..n]);
            (from, bytes) = (n, 0);
        }
        bytes += message.payload.len();
    }
    if from < batch.len() {
        parts.push(&batch[from..]);
    }
    parts
}

#[cfg(test)]
mod tests;
