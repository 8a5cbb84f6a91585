//! Bringing the new model to exactly where the serving one is, and holding that one there.

use std::time::Duration;

use runtime::db::is_held_up;
use sqlx::{Postgres, Transaction};

use super::build::Builder;
use super::error::RebuildError;
use super::heartbeat::Heartbeat;
use super::live::Live;
use super::place::Place;
use crate::store::{NAME, scope, serving};

/// How long the serving projector may be held up.
const HELD_MAX: Duration = Duration::from_secs(1);
/// So few events are caught up soon, also under the lock.
const CLOSE: u64 = 200;

/// Both models at one position; the serving projector waits until this is let go.
pub(crate) struct Met {
    /// The position.
    pub(crate) position: u64,
    /// Holds the lock of the serving model's writers.
    pub(super) tx: Transaction<'static, Postgres>,
}

impl Met {
    /// Lets the serving projector go on.
    pub(crate) async fn part(self) -> sqlx::Result<()> {
        self.tx.rollback().await
    }
}

/// Brings both models to one position.
pub(crate) async fn meet(
    place: &Place,
    builder: &mut Builder,
    live: &mut Live,
    heart: &mut Heartbeat<'_>,
) -> Result<Met, RebuildError> {
    loop {
        come_close(builder, live, heart).await?;
        let mut tx = place.pool.begin().await?;
        sqlx::query("set local lock_timeout = '3s'").execute(&mut *tx).await?;
        match scope::lock(&mut tx, &live.schema, NAME).await {
            Ok(()) => {}
            // A large batch of the projector.
            Err(error) if is_held_up(&error) => {
                heart.beat("waiting for a batch of the projector").await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let serving = serving::serving_now(&mut tx).await?.ok_or(sqlx::Error::RowNotFound)?;
        if serving != live.schema {
            return Err(RebuildError::Refused(format!(
                "`{serving}` serves by now, not `{}`: somebody else swapped; the same words again compare with that one",
                live.schema
            )));
        }
        let target = live.position().await?;
        let caught_up = tokio::time::timeout(HELD_MAX, builder.advance(target, None, heart));
        match caught_up.await {
            Ok(Ok(())) => return Ok(Met { position: target, tx }),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                tx.rollback().await?;
                builder.refresh().await?;
            }
        }
    }
}

/// Builds until few events are missing, giving way to the serving projector.
async fn come_close(
    builder: &mut Builder,
    live: &mut Live,
    heart: &mut Heartbeat<'_>,
) -> Result<(), RebuildError> {
    loop {
        let target = live.position().await?;
        if builder.position() > target {
            return Err(RebuildError::Refused(format!(
                "the model in `{}` is at {}, beyond the serving one at {target}: it was followed by a projector of its own",
                builder.schema(),
                builder.position()
            )));
        }
        builder.advance(target, Some(live), heart).await?;
        if live.position().await?.saturating_sub(builder.position()) <= CLOSE {
            return Ok(());
        }
    }
}
