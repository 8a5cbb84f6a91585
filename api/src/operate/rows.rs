//! `inbox.parked`: rows and statements.

use runtime::db::absent_is_empty;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::time::Time;

/// An event that the projector could not fold.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct SetAside {
    /// Its position in INBOX_EVENTS; negative: of a stream that is lost.
    pub seq: i64,
    /// Its id.
    pub event_id: Option<String>,
    /// Its kind.
    pub kind: Option<String>,
    /// The stable word of the cause.
    pub cause: String,
    /// The error.
    pub detail: String,
    /// Since when.
    pub first_seen: Time,
}

/// What the projector could not fold.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn set_aside(pool: &PgPool) -> sqlx::Result<Vec<SetAside>> {
    let rows = sqlx::query_as(
        "select seq, event_id, kind, cause, detail, first_seen from inbox.parked order by seq limit 200",
    )
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}
