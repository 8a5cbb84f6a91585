//! Which schema serves, changed in one transaction.

use ops::{Act, Claim, JobState, record};
use serde_json::json;

use super::compare::Comparison;
use super::error::RebuildError;
use super::meet::Met;
use crate::store::tables::{leases, parked};
use crate::store::{SchemaName, models, scope, serving};

/// What is swapped, and who answers for it.
pub(super) struct Swap<'a> {
    /// The schema that serves.
    pub(super) served: &'a SchemaName,
    /// The schema that is to serve.
    pub(super) schema: &'a SchemaName,
    /// The job of the rebuild.
    pub(super) claim: &'a Claim,
    /// The operator.
    pub(super) who: &'a str,
    /// How the models differ.
    pub(super) comparison: &'a Comparison,
}

impl Swap<'_> {
    /// Lets the schema serve: views, roles of the schemas, the end of the job and the record of it, or nothing of all that.
    pub(super) async fn carry_out(&self, met: Met) -> Result<(), RebuildError> {
        let Self { served, schema, claim, who, comparison } = self;
        let (position, mut tx) = (met.position, met.tx);
        // A reader in a long transaction must not make all others queue behind us.
        sqlx::query("set local lock_timeout = '300ms'").execute(&mut *tx).await?;
        serving::show(&mut tx, schema).await?;
        models::change_over(&mut tx, served, schema, &claim.job.id).await?;
        // What is parked in both was published to INBOX_DEAD once already, or is still to be.
        scope::enter(&mut tx, served).await?;
        let marks = parked::marks(&mut tx).await?;
        scope::enter(&mut tx, schema).await?;
        parked::set_marks(&mut tx, &marks).await?;
        // The projectors need not wait for the lease of whoever built it.
        leases::free(&mut tx).await?;
        let result = json!({
            "served": served.as_str(), "serves": schema.as_str(), "position": position,
            "differing": comparison.differing, "lost": comparison.lost,
        });
        let act = Act {
            who,
            verb: "rebuild swap",
            arguments: claim.job.arguments.clone(),
            reason: claim.job.reason.as_deref(),
            job: Some(&claim.job.id),
            result: Some(result.clone()),
        };
        record(&mut tx, act).await?;
        if !claim.end(&mut tx, JobState::Done, Some(&result), None).await? {
            return Err(RebuildError::Lost);
        }
        runtime::failpoint!("rebuild.before_swap_commit");
        tx.commit().await?;
        runtime::failpoint!("rebuild.after_swap_commit");
        Ok(())
    }
}
