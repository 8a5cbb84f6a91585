//! Reading a slice of META_RAW, from a first to a last position, in order.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::stream::{Info, Stream};
use facts::eras::{self, NumberedEra, Opened};
use runtime::broker::Broker;
use runtime::follow::{Follower, Received, stored};
use runtime::lease::Position;
use runtime::streams::StreamName;
use schemas::{Timestamp, subjects};
use sqlx::PgPool;

/// How long the broker may take to hand out what it has.
const HANDED_OUT_WITHIN: Duration = Duration::from_secs(30);

/// META_RAW, to be read.
pub(super) struct Source {
    broker: Broker,
    stream: Stream<Info>,
    era: NumberedEra,
}

impl Source {
    /// Opens it, where it is the one whose positions are known.
    pub(super) async fn open(broker: &Broker, pool: &PgPool) -> anyhow::Result<Self> {
        let Opened { stream, known } = eras::open(broker.js(), pool, StreamName::Raw).await?;
        Ok(Self { broker: broker.clone(), stream, era: known })
    }

    /// Its era.
    pub(super) const fn era(&self) -> NumberedEra {
        self.era
    }

    /// First and last position as of now; `None` where nothing is there.
    pub(super) fn ends(&self) -> Option<(u64, u64)> {
        let state = &self.stream.cached_info().state;
        (state.messages > 0).then_some((state.first_sequence, state.last_sequence))
    }

    /// The position of the first raw webhook from a position on.
    async fn next(&self, from: u64) -> anyhow::Result<Option<u64>> {
        let js = self.broker.js();
        let next = stored::next(js, subjects::META_RAW, subjects::RAW_ALL, from).await?;
        Ok(next.map(|message| message.sequence))
    }

    /// The first position whose raw webhook was stored at `time` or later; one past the end where none was.
    pub(super) async fn stored_from(&self, time: Timestamp) -> anyhow::Result<u64> {
        let js = self.broker.js();
        Ok(stored::first_since(js, subjects::META_RAW, subjects::RAW_ALL, time).await?)
    }

    /// The raw webhooks from `from` to `to`.
    pub(super) fn slice(&self, from: u64, to: u64) -> Slice<'_> {
        let follower = Follower::new(
            self.broker.clone(),
            subjects::META_RAW,
            subjects::RAW_ALL,
            Position { seq: from.saturating_sub(1), era: Some(self.era.era), at: None },
        );
        Slice { source: self, follower, at: from, to }
    }
}

/// A slice that is being read.
pub(super) struct Slice<'a> {
    source: &'a Source,
    follower: Follower,
    at: u64,
    to: u64,
}

impl Slice<'_> {
    /// The next raw webhooks, at most `max`; `None` at the end.
    pub(super) async fn next(&mut self, max: usize) -> anyhow::Result<Option<Vec<Received>>> {
        if self.at > self.to {
            return Ok(None);
        }
        // A follower waits for what is not there yet; what was erased never comes.
        if self.follower.pending() == 0
            && self.source.next(self.at).await?.is_none_or(|at| at > self.to)
        {
            return Ok(None);
        }
        let mut batch = tokio::time::timeout(HANDED_OUT_WITHIN, self.follower.next_batch(max))
            .await
            .context("the broker does not hand out META_RAW")??;
        batch.retain(|raw| raw.sequence <= self.to);
        self.at = batch.last().map_or(self.to, |raw| raw.sequence) + 1;
        Ok((!batch.is_empty()).then_some(batch))
    }
}
