//! Events the projector set aside, as operators see them: in the schema that serves. They are folded again
//! ([`redrive`](crate::redrive)), or given up.

use schemas::Timestamp;
use serde::Serialize;
use sqlx::PgPool;

pub use crate::store::tables::parked::ParkedCause;
use crate::store::tables::parked::{self, Listed};
use crate::store::{scope, serving};

/// An event set aside.
#[derive(Clone, Debug, Serialize)]
pub struct Parked {
    /// Always `projector`.
    pub stage: &'static str,
    /// Its position in INBOX_EVENTS, which is also its number here.
    pub seq: i64,
    /// Its id, where it has one.
    pub event_id: Option<String>,
    /// Its kind, where it is known.
    pub kind: Option<String>,
    /// The stable word of the cause.
    pub cause: String,
    /// For people; no content.
    pub detail: String,
    /// Since when.
    pub parked_at: Timestamp,
}

impl From<Listed> for Parked {
    fn from(row: Listed) -> Self {
        let Listed { seq, event_id, kind, cause, detail, first_seen } = row;
        Self { stage: "projector", seq, event_id, kind, cause, detail, parked_at: first_seen }
    }
}

/// The events set aside, oldest first; none where there is no read model yet.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub async fn list(pool: &PgPool) -> sqlx::Result<Vec<Parked>> {
    let rows = runtime::db::absent_is_empty(parked::list_serving(pool).await)?;
    Ok(rows.into_iter().map(Parked::from).collect())
}

/// The event set aside at this position; `None` where there is none, or no read model.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub async fn find(pool: &PgPool, seq: i64) -> sqlx::Result<Option<Parked>> {
    let row = runtime::db::absent_is_empty(parked::find_serving(pool, seq).await)?;
    Ok(row.map(Parked::from))
}

/// The events set aside, by cause; none where there is no read model yet.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub async fn by_cause(pool: &PgPool) -> sqlx::Result<Vec<ParkedCause>> {
    runtime::db::absent_is_empty(parked::causes_serving(pool).await)
}

/// Takes one off the list for good; the event stays in the log, and a rebuild reads it again. `false`: it is not on the list.
///
/// # Errors
/// `sqlx::Error`; the list is as before, call again.
pub async fn discard(pool: &PgPool, seq: i64) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    // Held: no swap to another schema comes in between.
    let Some(schema) = serving::hold_serving(&mut tx).await? else { return Ok(false) };
    scope::enter(&mut tx, &schema).await?;
    let removed = parked::remove(&mut tx, seq).await?;
    tx.commit().await?;
    Ok(removed)
}
