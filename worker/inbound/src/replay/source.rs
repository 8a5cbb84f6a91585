//! Reading a slice of META_RAW, from a first to a last position, in order.

use async_nats::jetstream::stream::{Info, Stream};
use facts::eras::{self, NumberedEra, Opened};
use runtime::broker::Broker;
use runtime::follow::{Follower, Received, stored};
use runtime::lease::Position;
use runtime::streams::StreamName;
use schemas::{Timestamp, subjects};
use sqlx::PgPool;

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

    /// The first position whose raw webhook was stored at `time` or later; one past the end where none was.
    pub(super) async fn stored_from(&self, time: Timestamp) -> anyhow::Result<u64> {
        let js = self.broker.js();
        Ok(stored::first_since(js, subjects::META_RAW, subjects::RAW_WEBHOOKS, time).await?)
    }

    /// The raw webhooks from `from` to `to`.
    pub(super) fn slice(&self, from: u64, to: u64) -> Slice {
        let follower = Follower::new(
            self.broker.clone(),
            subjects::META_RAW,
            subjects::RAW_WEBHOOKS,
            Position { seq: from.saturating_sub(1), era: Some(self.era.era), at: None },
        );
        Slice { follower, to }
    }
}

/// A slice that is being read.
pub(super) struct Slice {
    follower: Follower,
    to: u64,
}

impl Slice {
    /// The next raw webhooks, at most `max`; `None` at the end.
    pub(super) async fn next(&mut self, max: usize) -> anyhow::Result<Option<Vec<Received>>> {
        self.follower.next_up_to(self.to, max).await
    }
}
