//! Of which era of INBOX_EVENTS the read models are, and declaring another one: the rows stay, and the projector begins at its start.

use runtime::BoxFuture;
use runtime::db::absent_is_empty;
use runtime::lease;
use runtime::streams::{Era, StoredEras, StreamName};
use sqlx::{PgConnection, PgPool};

use crate::store::tables::positions;
use crate::store::{NAME, models, scope, serving};
use crate::worker_view;

/// The stored eras, for the connection to the broker.
#[derive(Clone, Debug)]
pub struct Eras(PgPool);

impl Eras {
    /// Of the read model in this database that serves.
    pub const fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    async fn find(&self, stream: StreamName) -> sqlx::Result<Option<Era>> {
        if stream == StreamName::Events
            && let Some(positions::Serving { era: Some(era), .. }) =
                absent_is_empty(positions::of_serving(&self.0).await)?
        {
            return Ok(Some(era));
        }
        // Nothing is folded yet; but the worker may have published there.
        absent_is_empty(worker_view::era(&self.0, stream.as_str()).await)
    }
}

impl StoredEras for Eras {
    fn stored(&self, stream: StreamName) -> BoxFuture<'_, anyhow::Result<Option<Era>>> {
        Box::pin(async move { Ok(self.find(stream).await?) })
    }
}

/// Declares the era of INBOX_EVENTS for the serving read model and the kept one, in the caller's transaction. Their rows stay as they are. Returns how many
/// there are.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn adopt(conn: &mut PgConnection, era: Era) -> sqlx::Result<usize> {
    if !serving::exists(conn).await? {
        return Ok(0);
    }
    // One that is being built stays as it is: its job is refused, and has to begin again.
    let kept = models::kept(&mut *conn).await?;
    let serving = serving::hold_serving(conn).await?;
    let mut adopted = 0;
    for schema in kept.iter().chain(&serving) {
        scope::enter(conn, schema).await?;
        // One that was kept by an earlier release has no eras yet, and is refused when it is taken up.
        if !positions::has_eras(conn).await? {
            continue;
        }
        adopted += 1;
        lease::start_over(conn, schema.as_str(), StreamName::Events, era).await?;
        positions::count_era(conn, NAME).await?;
    }
    Ok(adopted)
}
