//! The model that serves: which one it is, how far it is, and whether it is behind.

use std::time::Duration;

use runtime::broker::Broker;
use runtime::streams::{Era, era_of};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::RebuildError;
use super::log::info;
use super::place::Place;
use crate::store::tables::positions;
use crate::store::{SchemaName, prepare, serving};

/// An event that waits for the projector for this long: it is behind.
const BEHIND_AFTER: Duration = Duration::from_millis(500);
/// So many waiting events: it is behind.
const BACKLOG: u64 = 300;
/// A projector that does not move for this long does not run, or cannot: waiting for it helps nobody.
const STUCK_AFTER: Duration = Duration::from_secs(20);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Why a release may not touch the views.
pub(crate) const NEWER: &str =
    "a newer release has made the views of schema `inbox`: run this verb of that release";

/// The serving model.
pub(crate) struct Live {
    broker: Broker,
    pool: PgPool,
    /// Its schema.
    pub(crate) schema: SchemaName,
    waiting: Option<(u64, Instant)>,
    moved: (u64, Instant),
    looked: Option<Instant>,
    behind: bool,
}

impl Live {
    /// Finds it, and brings it up to date where no projector has yet: for verbs that write.
    ///
    /// # Errors
    /// When Postgres does not answer, a migration is wrong, or a newer release has made the views.
    pub(crate) async fn find(place: &Place) -> Result<Self, RebuildError> {
        if serving::is_of_newer_release(&place.pool).await? {
            return Err(RebuildError::Refused(NEWER.to_owned()));
        }
        let schema = prepare(&place.pool, &CancellationToken::new(), None).await?;
        Ok(Self::new(place, schema.unwrap_or_else(SchemaName::first)))
    }

    /// Finds it as it is: for verbs that only read.
    ///
    /// # Errors
    /// When Postgres does not answer, or no projector has made one yet.
    pub(crate) async fn look_at(place: &Place) -> Result<Self, RebuildError> {
        let asked = serving::serves(&place.pool).await?;
        let schema = asked.ok_or_else(|| {
            RebuildError::Refused("there is no read model yet: start the projector".to_owned())
        })?;
        Ok(Self::new(place, schema))
    }

    fn new(place: &Place, schema: SchemaName) -> Self {
        Self {
            broker: place.broker.clone(),
            pool: place.pool.clone(),
            schema,
            waiting: None,
            moved: (0, Instant::now()),
            looked: None,
            behind: false,
        }
    }

    /// How far it is.
    ///
    /// # Errors
    /// `sqlx::Error`: ask again.
    pub(crate) async fn position(&self) -> sqlx::Result<u64> {
        Ok(positions::of_serving(&self.pool).await?.map_or(0, |serving| serving.seq))
    }

    /// The era of INBOX_EVENTS that its position is of, and how many eras its rows are made of.
    pub(super) async fn eras(&self) -> sqlx::Result<(Option<Era>, i16)> {
        let serving = positions::of_serving(&self.pool).await?;
        Ok(serving.map_or((None, 1), |serving| (serving.era, serving.eras)))
    }

    /// First and last position of INBOX_EVENTS.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) async fn log(&self) -> Result<(u64, u64), RebuildError> {
        let state = info(&self.broker).await?.state;
        Ok((state.first_sequence, state.last_sequence))
    }

    /// Whether its positions are those of the stream that is there now.
    ///
    /// # Errors
    /// When broker or Postgres do not answer.
    pub(crate) async fn is_of_this_stream(&self) -> Result<bool, RebuildError> {
        let (known, _) = self.eras().await?;
        let era = era_of(&info(&self.broker).await?);
        Ok(known.is_none_or(|known| known == era))
    }

    /// Whether the projector is behind the log's head, so that the build has to wait.
    ///
    /// # Errors
    /// When broker or Postgres do not answer.
    pub(crate) async fn behind(&mut self) -> Result<bool, RebuildError> {
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
