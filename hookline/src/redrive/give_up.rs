//! Gives one parked row up for good, and records it.

use ops::{Act, Ops};
use serde_json::{Value, json};

use super::parked::Stage;

/// Takes the row off its list; `row` is kept in the audit. `false`: it was not on it any more.
///
/// # Errors
/// `sqlx::Error`; it may be gone, or gone and not recorded. Call again.
pub(crate) async fn give_up(
    ops: &Ops,
    who: &str,
    row: &Value,
    id: i64,
    stage: Stage,
    reason: &str,
) -> anyhow::Result<bool> {
    let done = match stage {
        Stage::Normalize => worker::inbound::parked::discard(ops.pool(), id, reason, who).await?,
        Stage::Projector => projector::parked::discard(ops.pool(), id).await?,
    };
    if done {
        let arguments = json!({"row": id, "stage": row["stage"]});
        let (verb, result) = ("redrive discard", Some(row.clone()));
        ops.record(Act { who, verb, arguments, reason: Some(reason), job: None, result }).await?;
    }
    Ok(done)
}
