//! Events the projector set aside, folded again one by one by the process that asks for it. The fold needs no order, and the projector waits
//! for the same lock meanwhile: the rows are the same whoever folds an event.

use std::time::Duration;

use runtime::db;
use schemas::subjects;

use crate::apply::NOT_STORABLE;
use crate::read::read;
use crate::rebuild::{Live, Place, RebuildError, event_at};
use crate::store::{NAME, Store, StoreError, serving};

pub use crate::store::Again;

/// The cause of events that INBOX_EVENTS does not hold any more, and whose bytes were not kept.
const EVENT_GONE: &str = "event_gone";
/// How long one may take, with the wait for a batch of the projector: beyond the limit of a statement.
const FOLDED_WITHIN: Duration = Duration::from_secs(90);

/// Folds what was set aside into the model that serves.
pub struct Redrive {
    place: Place,
    store: Store,
}

impl Redrive {
    /// Finds the model that serves, and makes sure that its positions are those of INBOX_EVENTS.
    ///
    /// # Errors
    /// [`RebuildError::Refused`] when the stream was made anew; others when broker or Postgres do not answer.
    pub async fn open(place: &Place) -> Result<Self, RebuildError> {
        let live = Live::find(place).await?;
        if !live.is_of_this_stream().await? {
            return Err(RebuildError::Refused(format!(
                "{0} was made anew since these events were set aside: other events have their positions now. Restore it from a backup, or \
                 declare a new beginning with `hookline streams adopt {0}`",
                subjects::INBOX_EVENTS
            )));
        }
        // A projector of a release before it may be running.
        serving::make_mended(&place.pool).await?;
        let store = Store::new(place.pool.clone(), &live.schema, String::new());
        Ok(Self { place: place.clone(), store })
    }

    /// Folds the event at this position of INBOX_EVENTS again, in a transaction of its own.
    ///
    /// # Errors
    /// As [`open`](Self::open); then the event is on the list as before.
    pub async fn one(&mut self, seq: i64) -> Result<Again, RebuildError> {
        // Its number was changed when its stream was lost.
        if seq < 0 {
            let detail = "the INBOX_EVENTS that held the event was lost: discard the row";
            self.store.note(seq, EVENT_GONE, detail).await?;
            return Ok(Again::Failed(EVENT_GONE));
        }
        let position = u64::try_from(seq).unwrap_or(0);
        let incoming =
            match event_at(&self.place.broker, position).await? {
                Some(incoming) => Some(incoming),
                // Its bytes were kept when it was set aside.
                None => self.store.kept(seq).await?.map(|kept| {
                    read(position, &kept.subject, &kept.body).stored_at(kept.stored_at)
                }),
            };
        let Some(incoming) = incoming else {
            let detail = "INBOX_EVENTS does not hold the event any more: discard the row";
            self.store.note(seq, EVENT_GONE, detail).await?;
            return Ok(Again::Failed(EVENT_GONE));
        };
        loop {
            let folding = self.store.fold_again(NAME, incoming.clone());
            match db::within(FOLDED_WITHIN, folding).await {
                Ok(again) => return Ok(again),
                // A rebuild was swapped in: its own list counts from now on.
                Err(StoreError::Moved | StoreError::Fenced) => {
                    *self = Self::open(&self.place).await?;
                }
                Err(StoreError::Database(error)) if db::fault(&error) == db::Fault::Data => {
                    self.store.note(seq, NOT_STORABLE, &db::describe(&error)).await?;
                    return Ok(Again::Failed(NOT_STORABLE));
                }
                Err(StoreError::Database(error)) => return Err(error.into()),
            }
        }
    }
}
