//! Gives one parked row up for good, and records it.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::parked::Stage;
use crate::operator;

/// Takes the row off its list; `row` is kept in the audit. `false`: it was not on it any more.
///
/// # Errors
/// `sqlx::Error`; it may be gone, or gone and not recorded. Call again.
pub(crate) async fn give_up(
    pool: &PgPool,
    who: &str,
    row: &Value,
    id: i64,
    stage: Stage,
    reason: &str,
) -> anyhow::Result<bool> {
    let done = match stage {
        Stage::Normalize => worker::inbound::parked::discard(pool, id, reason, who).await?,
        Stage::Projector => projector::parked::discard(pool, id).await?,
    };
    if done {
        let arguments = json!({"row": id, "stage": row["stage"]});
        let result = row.clone();
        operator::record_of(pool, who, "redrive discard", arguments, Some(reason), result).await?;
    }
    Ok(done)
}
