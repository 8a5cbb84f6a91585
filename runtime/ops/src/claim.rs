//! Table `ops.jobs` as whoever works on a job uses it: claim, beat, save, end.

use std::time::Duration;

use runtime::db;
use runtime::waits::{self, Wait};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::job::{Job, JobState, Wish};
use crate::store::Ops;

/// How long a claim outlives its last renewal: so soon can a job whose process died be resumed.
pub const CLAIM: Wait = waits::CLAIM;
/// How often a claim is to be renewed and an operator's wish looked for.
pub const BEAT: Duration = Duration::from_secs(1);

/// What whoever works on a job is to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beat {
    /// Go on, at this rate.
    Go {
        /// Items per second at most.
        rate: Option<f64>,
    },
    /// Stop: an operator wishes it.
    Stop(Wish),
    /// Stop: somebody else holds the job, or it ended.
    Lost,
}

/// A claimed job.
#[derive(Clone, Debug)]
pub struct Claim {
    pool: PgPool,
    owner: String,
    epoch: i64,
    /// The job as it was when it was claimed.
    pub job: Job,
}

#[derive(sqlx::FromRow)]
struct Claimed {
    epoch: i64,
    #[sqlx(flatten)]
    job: Job,
}

#[derive(sqlx::FromRow)]
struct Asked {
    wish: Option<Wish>,
    rate: Option<f64>,
}

impl Ops {
    /// Claims a job that is not finished and that nobody holds; a paused one runs again. `None`: somebody holds it, or it is finished.
    ///
    /// # Errors
    /// `sqlx::Error`; if it was claimed nevertheless, the claim lapses after [`CLAIM`].
    pub async fn claim(&self, id: &str, owner: &str) -> sqlx::Result<Option<Claim>> {
        let claimed: Option<Claimed> = sqlx::query_as(
            "update ops.jobs set state = 'running', wish = null, owner = $2, epoch = epoch + 1, updated_at = clock_timestamp(),
                    claimed_until = clock_timestamp() + make_interval(secs => $3)
              where id = $1 and state in ('running', 'paused')
                and (claimed_until is null or claimed_until < clock_timestamp())
             returning id, verb, arguments, reason, started_by, state, rate, progress, result, error, created_at, updated_at, finished_at, epoch,
                       coalesce(claimed_until > clock_timestamp(), false) as held",
        )
        .bind(id)
        .bind(owner)
        .bind(CLAIM.get().as_secs_f64())
        .fetch_optional(self.pool())
        .await?;
        Ok(claimed.map(|Claimed { epoch, job }| Claim {
            pool: self.pool().clone(),
            owner: owner.to_owned(),
            epoch,
            job,
        }))
    }
}

impl Claim {
    /// Renews the claim and looks for wishes; to be called every [`BEAT`].
    ///
    /// # Errors
    /// `sqlx::Error`: whether the claim holds is unknown then, and nothing can be committed either.
    pub async fn beat(&self) -> sqlx::Result<Beat> {
        let asked = sqlx::query_as::<_, Asked>(
            "update ops.jobs set claimed_until = clock_timestamp() + make_interval(secs => $4)
              where id = $1 and owner = $2 and epoch = $3 and state = 'running' returning wish, rate",
        )
        .bind(&self.job.id)
        .bind(&self.owner)
        .bind(self.epoch)
        .bind(CLAIM.get().as_secs_f64())
        .fetch_optional(&self.pool);
        Ok(match db::within(CLAIM.get(), asked).await? {
            None => Beat::Lost,
            Some(Asked { wish: Some(wish), .. }) => Beat::Stop(wish),
            Some(Asked { wish: None, rate }) => Beat::Go { rate },
        })
    }

    /// Stores what is done, in the transaction of the effect. `false`: the claim is lost; roll back and stop.
    ///
    /// # Errors
    /// `sqlx::Error`; roll back, nothing was stored.
    pub async fn save(&self, conn: &mut PgConnection, progress: &Value) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update ops.jobs set progress = $4, updated_at = clock_timestamp(),
                    claimed_until = clock_timestamp() + make_interval(secs => $5)
              where id = $1 and owner = $2 and epoch = $3 and state = 'running'",
        )
        .bind(&self.job.id)
        .bind(&self.owner)
        .bind(self.epoch)
        .bind(progress)
        .bind(CLAIM.get().as_secs_f64())
        .execute(conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the work on the job, in the caller's transaction, and lets go of it. `false`: the claim was lost before.
    ///
    /// # Errors
    /// `sqlx::Error`; roll back, the job is still claimed.
    pub async fn end(
        &self,
        conn: &mut PgConnection,
        state: JobState,
        result: Option<&Value>,
        error: Option<&str>,
    ) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update ops.jobs set state = $4, result = coalesce($5, result), error = $6, wish = null, owner = null, claimed_until = null,
                    updated_at = clock_timestamp(),
                    finished_at = case when $4 in ('done', 'failed', 'cancelled') then clock_timestamp() end
              where id = $1 and owner = $2 and epoch = $3 and state = 'running'",
        )
        .bind(&self.job.id)
        .bind(&self.owner)
        .bind(self.epoch)
        .bind(state)
        .bind(result)
        .bind(error)
        .execute(conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
