//! How far the serving read model is, and what waits beside it: read by operators, from the views of schema `inbox`.

use runtime::streams::Era;
use sqlx::PgPool;

use crate::store::tables::positions;

/// The last position of INBOX_EVENTS that the serving read model has folded, with the era that it is of; `None` before the first.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where the projector has not migrated yet.
pub async fn position(pool: &PgPool) -> sqlx::Result<Option<(u64, Option<Era>)>> {
    let serving = positions::of_serving(pool).await?;
    Ok(serving.map(|serving| (serving.seq, serving.era)))
}
