//! Reading message by message, where delivery broke off (docs/decisions/30).

use std::time::{Duration, Instant};

use async_nats::jetstream;

use super::{Follower, Unfollowable};
use crate::follow::received::Received;
use crate::follow::stored::{self, LookUpError};

/// How often it is looked for the next message while it is not delivered.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Follower {
    /// Looks up the next messages, at most `max`, where delivery broke off.
    pub(super) async fn look_up_next(&mut self, max: usize) -> Result<(), Unfollowable> {
        let broker = self.broker.clone();
        // The same stream as before?
        let Some(stream) = self.right_stream(broker.js()).await? else {
            tokio::time::sleep(self.backoff.next(rand::random())).await;
            return Ok(());
        };
        let head = stream.cached_info().state.last_sequence;
        for _ in 0..max {
            match self.look_up(broker.js()).await {
                Ok(Some(mut message)) => {
                    self.care.looked_up(message.flaw.is_none(), Instant::now());
                    self.report(&message);
                    message.pending = head.saturating_sub(message.sequence);
                    self.backoff.reset();
                    self.buffer.push_back(message);
                }
                Ok(None) => {
                    // All that is ours is here: the head of the stream counted the messages of others, too.
                    for (after, message) in (0..).zip(self.buffer.iter_mut().rev()) {
                        message.pending = after;
                    }
                    self.care.at_end(Instant::now());
                    if self.care.is_careful() && self.buffer.is_empty() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(stream = self.stream, %error, "Cannot look up what comes next");
                    self.care.trust();
                    tokio::time::sleep(self.backoff.next(rand::random())).await;
                    return Ok(());
                }
            }
            if !self.care.is_careful() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next message of any of the subjects.
    async fn look_up(&self, js: &jetstream::Context) -> Result<Option<Received>, LookUpError> {
        let mut first: Option<Received> = None;
        for filter in &self.filters {
            let next = stored::next(js, self.stream, filter, self.held() + 1).await?;
            first = first.into_iter().chain(next).min_by_key(|message| message.sequence);
        }
        Ok(first)
    }

    fn report(&self, message: &Received) {
        let Some(flaw) = message.flaw else { return };
        metrics::counter!("hookline_follow_unreadable_total", "stream" => self.stream).increment(1);
        tracing::warn!(
            stream = self.stream,
            sequence = message.sequence,
            flaw,
            "Message {} of {} is of no client of ours: {flaw}",
            message.sequence,
            self.stream
        );
    }
}
