//! Table `ops.jobs` as operators use it: start, list, pause, cancel. The columns of [`Job`] are those of the table, and `held`.

use crate::job::{Job, NewJob, Wish};
use crate::store::Ops;

impl Ops {
    /// The unfinished job of the same verb and arguments, or a new one. `true`: it was there.
    ///
    /// # Errors
    /// `sqlx::Error`; call again with the same words.
    pub async fn start(&self, new: NewJob<'_>) -> sqlx::Result<(Job, bool)> {
        let text = format!("{} {}", new.verb, new.arguments);
        let fingerprint = schemas::ids::sha256_hex(text.as_bytes());
        let id = format!("{}-{}", new.verb.replace(' ', "-"), uuid::Uuid::now_v7().simple());
        let job: Job = sqlx::query_as(
            "insert into ops.jobs (id, verb, fingerprint, arguments, reason, started_by, rate)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (fingerprint) where state in ('running', 'paused') do update set updated_at = clock_timestamp()
             returning id, verb, arguments, reason, started_by, state, rate, progress, result, error, created_at, updated_at, finished_at,
                       coalesce(claimed_until > clock_timestamp(), false) as held",
        )
        .bind(&id)
        .bind(new.verb)
        .bind(fingerprint)
        .bind(&new.arguments)
        .bind(new.reason)
        .bind(new.who)
        .bind(new.rate)
        .fetch_one(self.pool())
        .await?;
        let there = job.id != id;
        Ok((job, there))
    }

    /// One job.
    ///
    /// # Errors
    /// `sqlx::Error`
    pub async fn job(&self, id: &str) -> sqlx::Result<Option<Job>> {
        let job = sqlx::query_as(
            "select id, verb, arguments, reason, started_by, state, rate, progress, result, error, created_at, updated_at, finished_at,
                    coalesce(claimed_until > clock_timestamp(), false) as held
               from ops.jobs where id = $1",
        )
        .bind(id)
        .fetch_optional(self.pool())
        .await;
        runtime::db::absent_is_empty(job)
    }

    /// The latest jobs, newest first.
    ///
    /// # Errors
    /// `sqlx::Error`
    pub async fn jobs(&self, limit: i64) -> sqlx::Result<Vec<Job>> {
        let jobs = sqlx::query_as(
            "select id, verb, arguments, reason, started_by, state, rate, progress, result, error, created_at, updated_at, finished_at,
                    coalesce(claimed_until > clock_timestamp(), false) as held from ops.jobs
              order by created_at desc, id desc limit $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await;
        runtime::db::absent_is_empty(jobs)
    }

    /// Asks whoever works on the job to pause or give up. A job that nobody holds obeys at once. `false`: it is finished, or unknown.
    ///
    /// # Errors
    /// `sqlx::Error`; nothing was asked, or nobody knows: call again.
    pub async fn wish(&self, id: &str, wish: Wish) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update ops.jobs j set wish = $2, updated_at = clock_timestamp(),
                    state = case when free then $3 else j.state end,
                    finished_at = case when free and $3 = 'cancelled' then clock_timestamp() end
               from (select id, claimed_until is null or claimed_until < clock_timestamp() as free
                       from ops.jobs where id = $1 for update) f
              where j.id = f.id and j.state in ('running', 'paused')",
        )
        .bind(id)
        .bind(wish)
        .bind(wish.leads_to())
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Lets a paused job of the role `ops` go on: a process of it takes it up. `false`: it is not paused, or carried out by the process of its verb.
    ///
    /// # Errors
    /// `sqlx::Error`; call again.
    pub async fn resume(&self, id: &str) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update ops.jobs set state = 'running', wish = null, updated_at = clock_timestamp()
              where id = $1 and state = 'paused' and arguments ->> 'plan' is not null",
        )
        .bind(id)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The oldest job of the role `ops` that nobody works on: new, resumed, or its process died.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub async fn left_to_role(&self) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "select id from ops.jobs
              where state = 'running' and arguments ->> 'plan' is not null
                and (claimed_until is null or claimed_until < clock_timestamp())
              order by created_at limit 1",
        )
        .fetch_optional(self.pool())
        .await
    }

    /// Sets how fast an unfinished job may go; whoever works on it sees it within [`crate::BEAT`]. `false`: it is finished, or unknown.
    ///
    /// # Errors
    /// `sqlx::Error`; call again.
    pub async fn set_rate(&self, id: &str, rate: Option<f64>) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update ops.jobs set rate = $2, updated_at = clock_timestamp() where id = $1 and state in ('running', 'paused')",
        )
        .bind(id)
        .bind(rate)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
