//! Table `ops.plans`: what an act would do, counted before it is done.

use serde_json::Value;
use sqlx::FromRow;

use crate::store::Ops;

/// What is to be kept.
#[derive(Clone, Debug)]
pub struct NewPlan<'a> {
    /// The act, such as `redrive run`.
    pub act: &'a str,
    /// What it is to be done to.
    pub arguments: &'a Value,
    /// How much that is.
    pub counts: &'a Value,
    /// Of everything that was counted.
    pub digest: &'a str,
    /// Who asked for it.
    pub who: &'a str,
}

/// A row of `ops.plans`.
#[derive(Clone, Debug, FromRow)]
pub struct Plan {
    /// The act.
    pub act: String,
    /// What it is to be done to.
    pub arguments: Value,
    /// How much that was.
    pub counts: Value,
    /// Of everything that was counted.
    pub digest: String,
    /// Made within 15 minutes.
    pub fresh: bool,
    /// The job that carries it out.
    pub job: Option<String>,
}

impl Ops {
    /// Keeps a plan and returns its id. Those of earlier days go.
    ///
    /// # Errors
    /// `sqlx::Error`; ask for another plan.
    pub async fn keep_plan(&self, new: NewPlan<'_>) -> sqlx::Result<String> {
        let id = format!("plan-{}", uuid::Uuid::now_v7().simple());
        sqlx::query("delete from ops.plans where made_at < clock_timestamp() - interval '1 day'")
            .execute(self.pool())
            .await?;
        sqlx::query(
            "insert into ops.plans (id, act, arguments, counts, digest, made_by) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&id)
        .bind(new.act)
        .bind(new.arguments)
        .bind(new.counts)
        .bind(new.digest)
        .bind(new.who)
        .execute(self.pool())
        .await?;
        Ok(id)
    }

    /// A plan by its id.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub async fn plan(&self, id: &str) -> sqlx::Result<Option<Plan>> {
        sqlx::query_as(
            "select act, arguments, counts, digest, job, clock_timestamp() - interval '15 minutes' < made_at as fresh
               from ops.plans where id = $1",
        )
        .bind(id)
        .fetch_optional(self.pool())
        .await
    }

    /// Remembers which job carries a plan out: whoever names the plan again gets that job.
    ///
    /// # Errors
    /// `sqlx::Error`; call again.
    pub async fn plan_has_job(&self, id: &str, job: &str) -> sqlx::Result<()> {
        sqlx::query("update ops.plans set job = $2 where id = $1")
            .bind(id)
            .bind(job)
            .execute(self.pool())
            .await
            .map(|_| ())
    }
}
