//! The model that serves: which one it is, how far it is, and whether it is behind.

use std::time::Duration;

use async_nats::jetstream::stream::DirectGetErrorKind;
use runtime::broker::Broker;
use schemas::{Timestamp, subjects};
use sqlx::PgPool;
use tokio::time::Instant;

use super::{Place, RebuildError};
use crate::read::{Incoming, read};
use crate::store;

/// An event that waits for the projector for this long: it is behind.
const BEHIND_AFTER: Duration = Duration::from_millis(500);
/// So many waiting events: it is behind.
const BACKLOG: u64 = 300;
/// A projector that does not move for this long does not run, or cannot: waiting for it helps nobody.
const STUCK_AFTER: Duration = Duration::from_secs(20);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// The serving model.
pub struct Live {
    broker: Broker,
    pool: PgPool,
    /// Its schema.
    pub schema: String,
    waiting: Option<(u64, Instant)>,
    moved: (u64, Instant),
    looked: Option<Instant>,
    behind: bool,
}

/// The schema that has a role beside the serving one.
pub(super) async fn model(pool: &PgPool, role: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select schema from inbox.models where role = $1 order by since desc limit 1",
    )
    .bind(role)
    .fetch_optional(pool)
    .await
}

impl Live {
    /// Finds it, and brings it up to date where no projector has yet.
    ///
    /// # Errors
    /// Of the database.
    pub async fn find(place: &Place) -> Result<Self, RebuildError> {
        let stop = tokio_util::sync::CancellationToken::new();
        let schema = store::prepare(&place.pool, &stop).await?;
        let schema = schema.unwrap_or_else(|| store::FIRST_SCHEMA.to_owned());
        Ok(Self {
            broker: place.broker.clone(),
            pool: place.pool.clone(),
            schema,
            waiting: None,
            moved: (0, Instant::now()),
            looked: None,
            behind: false,
        })
    }

    /// How far it is.
    ///
    /// # Errors
    /// Of the database.
    pub async fn position(&self) -> sqlx::Result<u64> {
        let seq: Option<i64> =
            sqlx::query_scalar("select seq from inbox.position").fetch_optional(&self.pool).await?;
        Ok(u64::try_from(seq.unwrap_or(0)).unwrap_or(0))
    }

    /// When the stream was made that its position belongs to.
    pub(super) async fn stream_created(
        &self,
    ) -> sqlx::Result<Option<chrono::DateTime<chrono::Utc>>> {
        let created: Option<Option<chrono::DateTime<chrono::Utc>>> =
            sqlx::query_scalar("select stream_created from inbox.position")
                .fetch_optional(&self.pool)
                .await?;
        Ok(created.flatten())
    }

    /// First and last position of INBOX_EVENTS.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn log(&self) -> Result<(u64, u64), RebuildError> {
        let state = self.stream().await?.state;
        Ok((state.first_sequence, state.last_sequence))
    }

    /// Whether its positions are those of the stream that is there now.
    ///
    /// # Errors
    /// When broker or Postgres do not answer.
    pub(crate) async fn is_of_this_stream(&self) -> Result<bool, RebuildError> {
        let known = self.stream_created().await?.map(Timestamp::from);
        let created = Timestamp::from_nanos(self.stream().await?.created.unix_timestamp_nanos());
        Ok(known.is_none_or(|known| known == created))
    }

    async fn stream(&self) -> Result<async_nats::jetstream::stream::Info, RebuildError> {
        let stream = self.broker.js().get_stream(subjects::INBOX_EVENTS).await;
        Ok(stream.map_err(|error| away(&error))?.cached_info().clone())
    }

    /// Whether the projector is behind the log's head, so that the build has to wait.
    ///
    /// # Errors
    /// When broker or Postgres do not answer.
    pub async fn behind(&mut self) -> Result<bool, RebuildError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return Ok(self.behind);
        }
        let (position, (_, head)) = (self.position().await?, self.log().await?);
        let now = Instant::now();
        self.looked = Some(now);
        if self.moved.0 != position {
            self.moved = (position, now);
        }
        match self.waiting {
            Some((event, _)) if position >= event => self.waiting = None,
            _ => {}
        }
        if self.waiting.is_none() && position < head {
            self.waiting = Some((head, now));
        }
        let late = self.waiting.is_some_and(|(_, since)| since.elapsed() > BEHIND_AFTER);
        let stuck = self.moved.1.elapsed() > STUCK_AFTER;
        self.behind = (late || head.saturating_sub(position) > BACKLOG) && !stuck;
        Ok(self.behind)
    }
}

fn away(error: &dyn std::fmt::Display) -> RebuildError {
    RebuildError::Unreachable(format!("{} cannot be read: {error}", subjects::INBOX_EVENTS))
}

/// The event at a position. `None`: erased, or older than the log keeps.
pub(crate) async fn event_at(broker: &Broker, seq: u64) -> Result<Option<Incoming>, RebuildError> {
    let stream = broker.js().get_stream_no_info(subjects::INBOX_EVENTS).await;
    let stream = stream.map_err(|error| away(&error))?;
    match stream.direct_get(seq).await {
        Ok(message) => Ok(Some(read(seq, &message.subject, &message.payload))),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(away(&error)),
    }
}

/// Whether an event of these subjects is somewhere after `position`, up to `end`.
pub(crate) async fn holds_between(
    broker: &Broker,
    filter: &str,
    position: u64,
    end: u64,
) -> Result<bool, RebuildError> {
    let stream = broker.js().get_stream(subjects::INBOX_EVENTS).await;
    let stream = stream.map_err(|error| away(&error))?;
    match stream.direct_get_next_for_subject(filter, Some(position + 1)).await {
        Ok(message) => Ok(message.sequence <= end),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(false),
        Err(error) => Err(away(&error)),
    }
}
