//! Reading what is there by now, instead of waiting for more.

use std::time::Duration;

use anyhow::Context as _;

use super::{Follower, stored};
use crate::BoxFuture;
use crate::follow::received::Received;

/// How long the broker may take to hand out what it has.
const HANDED_OUT_WITHIN: Duration = Duration::from_secs(30);
/// Messages read at once, where all of them are wanted.
const BATCH: usize = 1000;

impl Follower {
    /// Every message that is there by now, in order.
    ///
    /// # Errors
    /// When the broker does not answer, or the stream is another one: start again.
    pub fn read_to_the_end(&mut self) -> BoxFuture<'_, anyhow::Result<Vec<Received>>> {
        Box::pin(async move {
            let (mut read, mut end) = (Vec::new(), 0);
            for filter in &self.filters {
                let last = stored::last(self.broker.js(), self.stream, filter).await?;
                end = last.map_or(end, |last| end.max(last.sequence));
            }
            while self.at.seq < end {
                // What is erased meanwhile never comes.
                let batch = tokio::time::timeout(HANDED_OUT_WITHIN, self.next_batch(BATCH)).await;
                let batch = batch.with_context(|| {
                    format!("the broker does not hand out {} up to {end}", self.stream)
                })??;
                read.extend(batch.into_iter().take_while(|message| message.sequence <= end));
            }
            Ok(read)
        })
    }

    /// The next messages up to position `end`, at most `max`; `None` where none is left.
    ///
    /// # Errors
    /// When the broker does not answer, or the stream is another one: start again.
    pub fn next_up_to(
        &mut self,
        end: u64,
        max: usize,
    ) -> BoxFuture<'_, anyhow::Result<Option<Vec<Received>>>> {
        Box::pin(async move {
            if self.at.seq >= end {
                return Ok(None);
            }
            // A follower waits for what is not there yet; what was erased never comes.
            if self.pending() == 0 && !self.is_next_by(end).await? {
                return Ok(None);
            }
            let batch = tokio::time::timeout(HANDED_OUT_WITHIN, self.next_batch(max)).await;
            let mut batch = batch.with_context(|| {
                format!("the broker does not hand out {} up to {end}", self.stream)
            })??;
            batch.retain(|message| message.sequence <= end);
            Ok((!batch.is_empty()).then_some(batch))
        })
    }

    /// Whether a message stands behind the position, at `end` or before.
    async fn is_next_by(&self, end: u64) -> anyhow::Result<bool> {
        for filter in &self.filters {
            let next = stored::next(self.broker.js(), self.stream, filter, self.at.seq + 1).await?;
            if next.is_some_and(|message| message.sequence <= end) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
