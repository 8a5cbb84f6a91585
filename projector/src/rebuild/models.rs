//! The read models beside the serving one: begun by a job, given up, dropped.

use sqlx::PgPool;

pub(super) use crate::store::models::drop_left;

use crate::store::models;
use crate::store::schema::{SchemaName, existing};

/// The schema that this job builds: the one it began, or a new one. Those of jobs that ended are dropped.
pub(super) async fn begin(
    pool: &PgPool,
    job: &str,
    serving: &SchemaName,
) -> sqlx::Result<SchemaName> {
    let mut tx = models::begin(pool).await?;
    let building = models::building(&mut tx).await?;
    if let Some(begun) = building.iter().find(|model| model.job.as_deref() == Some(job)) {
        return Ok(begun.schema.clone());
    }
    // Asked under the lock: a job that began a model before is among them.
    let unfinished = ops::unfinished(pool).await?;
    for model in &building {
        let goes_on = unfinished.iter().any(|job| model.job.as_ref() == Some(&job.id));
        if !goes_on {
            models::leave(&mut tx, &model.schema).await?;
        }
    }
    let (there, noted) = (existing(&mut tx).await?, models::all(&mut tx).await?);
    let all = there.iter().chain(&noted).chain([serving]);
    let last = all.filter_map(SchemaName::number).max();
    let schema = SchemaName::numbered(last.unwrap_or(1) + 1);
    models::build(&mut tx, &schema, job).await?;
    tx.commit().await?;
    drop_left(pool).await?;
    Ok(schema)
}
