//! Jobs of operators and the record of their acts, in Postgres (schema `ops`).
//!
//! A job is not bound to a process. What it has done stands in `progress`, which is written in the transaction of the effect while the claim
//! is held; after `kill -9` the same words, or `hookline jobs resume`, go on from there. A claim is a lease with an epoch: of two
//! processes that believe they hold a job only one can commit.

mod unfinished;

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use tokio_util::sync::CancellationToken;

pub use self::unfinished::{UnfinishedJob, unfinished};
use crate::db;
use crate::waits::{self, Wait};

/// How long a claim outlives its last renewal: so soon can a job whose process died be resumed.
pub const CLAIM: Wait = waits::CLAIM;
/// How often a claim is to be renewed and an operator's wish looked for.
pub const BEAT: Duration = Duration::from_secs(1);

/// The tables of schema `ops`.
#[derive(Clone, Debug)]
pub struct Ops {
    pool: PgPool,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Somebody works on it, or did until it was interrupted.
    Running,
    /// An operator stopped it for now.
    Paused,
    /// Finished.
    Done,
    /// Ended by an error that does not go away by itself.
    Failed,
    /// An operator gave it up; what was done stays done.
    Cancelled,
}

impl JobState {
    /// As `ops.jobs.state` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "paused" => Self::Paused,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ => Self::Running,
        }
    }
}

/// A job as it is stored.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// Its id, such as `replay-0198…`.
    pub id: String,
    /// The verb that works on it.
    pub verb: String,
    /// The verb's arguments.
    pub arguments: Value,
    /// Why it was started.
    pub reason: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// How far it is.
    pub state: JobState,
    /// Whether a process holds it now.
    pub held: bool,
    /// Items per second at most; absent: no limit.
    pub rate: Option<f64>,
    /// What is done.
    pub progress: Value,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When something last happened.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// The verb.
    pub verb: &'a str,
    /// Its arguments: with the verb they are what makes two jobs the same.
    pub arguments: Value,
    /// Items per second at most.
    pub rate: Option<f64>,
    /// Why.
    pub reason: Option<&'a str>,
    /// Who.
    pub who: &'a str,
}

/// An act for the record.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// Who did it.
    pub who: &'a str,
    /// The verb, such as `redrive discard`.
    pub verb: &'a str,
    /// Its arguments: ids and numbers.
    pub arguments: Value,
    /// Why.
    pub reason: Option<&'a str>,
    /// The job it belongs to.
    pub job: Option<&'a str>,
    /// What came of it: ids and counts.
    pub result: Option<Value>,
}

/// An act as it was recorded.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub who: String,
    /// The verb.
    pub verb: String,
    /// Its arguments.
    pub arguments: Value,
    /// Why.
    pub reason: Option<String>,
    /// The job it belongs to.
    pub job: Option<String>,
    /// What came of it.
    pub result: Option<Value>,
}

/// What an operator wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Stop for now.
    Pause,
    /// Give up; what is done stays done.
    Cancel,
}

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

const COLUMNS: &str = "id, verb, arguments, reason, started_by, state, coalesce(claimed_until > clock_timestamp(), false) as held, rate,
       progress, result, error, created_at, updated_at, finished_at";

fn job(row: &PgRow) -> sqlx::Result<Job> {
    let time = |name: &str| -> sqlx::Result<Timestamp> {
        Ok(Timestamp::from(row.try_get::<DateTime<Utc>, _>(name)?))
    };
    Ok(Job {
        id: row.try_get("id")?,
        verb: row.try_get("verb")?,
        arguments: row.try_get("arguments")?,
        reason: row.try_get("reason")?,
        started_by: row.try_get("started_by")?,
        state: JobState::parse(row.try_get("state")?),
        held: row.try_get("held")?,
        rate: row.try_get("rate")?,
        progress: row.try_get("progress")?,
        result: row.try_get("result")?,
        error: row.try_get("error")?,
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
        finished_at: row.try_get::<Option<DateTime<Utc>>, _>("finished_at")?.map(Timestamp::from),
    })
}

impl Ops {
    /// Brings schema `ops` up to date and opens it.
    ///
    /// # Errors
    /// When a migration is wrong or Postgres refuses it.
    pub async fn open(pool: PgPool) -> anyhow::Result<Self> {
        db::migrate(&pool, "ops", sqlx::migrate!("./migrations"), &CancellationToken::new())
            .await?;
        Ok(Self { pool })
    }

    /// The database of the jobs: a job ends in the transaction of its record.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The unfinished job of the same verb and arguments, or a new one. `true`: it was there.
    ///
    /// # Errors
    /// Of the database.
    pub async fn start(&self, new: NewJob<'_>) -> sqlx::Result<(Job, bool)> {
        let text = format!("{} {}", new.verb, new.arguments);
        let fingerprint = schemas::ids::sha256_hex(text.as_bytes());
        let id = format!("{}-{}", new.verb.replace(' ', "-"), uuid::Uuid::now_v7().simple());
        let sql = format!(
            "insert into ops.jobs (id, verb, fingerprint, arguments, reason, started_by, rate)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (fingerprint) where state in ('running', 'paused') do update set updated_at = clock_timestamp()
             returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&id)
            .bind(new.verb)
            .bind(fingerprint)
            .bind(&new.arguments)
            .bind(new.reason)
            .bind(new.who)
            .bind(new.rate)
            .fetch_one(&self.pool)
            .await?;
        let job = job(&row)?;
        let there = job.id != id;
        Ok((job, there))
    }

    /// One job.
    ///
    /// # Errors
    /// Of the database.
    pub async fn job(&self, id: &str) -> sqlx::Result<Option<Job>> {
        let sql = format!("select {COLUMNS} from ops.jobs where id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(job).transpose()
    }

    /// The latest jobs, newest first.
    ///
    /// # Errors
    /// Of the database.
    pub async fn jobs(&self, limit: i64) -> sqlx::Result<Vec<Job>> {
        let sql =
            format!("select {COLUMNS} from ops.jobs order by created_at desc, id desc limit $1");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(job)
            .collect()
    }

    /// Claims a job that is not finished and that nobody holds; a paused one runs again. `None`: somebody holds it, or it is finished.
    ///
    /// # Errors
    /// Of the database.
    pub async fn claim(&self, id: &str, owner: &str) -> sqlx::Result<Option<Claim>> {
        let sql = format!(
            "update ops.jobs set state = 'running', wish = null, owner = $2, epoch = epoch + 1, updated_at = clock_timestamp(),
                    claimed_until = clock_timestamp() + make_interval(secs => $3)
              where id = $1 and state in ('running', 'paused')
                and (claimed_until is null or claimed_until < clock_timestamp())
             returning epoch, {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(owner)
            .bind(CLAIM.get().as_secs_f64())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let epoch = row.try_get("epoch")?;
        Ok(Some(Claim { pool: self.pool.clone(), owner: owner.to_owned(), epoch, job: job(&row)? }))
    }

    /// Tells whoever works on the job to pause or give up. A job that nobody holds obeys at once. `false`: it is finished, or unknown.
    ///
    /// # Errors
    /// Of the database.
    pub async fn wish(&self, id: &str, wish: Wish) -> sqlx::Result<bool> {
        let (word, state) = match wish {
            Wish::Pause => ("pause", "paused"),
            Wish::Cancel => ("cancel", "cancelled"),
        };
        let done = sqlx::query(
            "update ops.jobs j set wish = $2, updated_at = clock_timestamp(),
                    state = case when free then $3 else j.state end,
                    finished_at = case when free and $3 = 'cancelled' then clock_timestamp() end
               from (select id, claimed_until is null or claimed_until < clock_timestamp() as free
                       from ops.jobs where id = $1 for update) f
              where j.id = f.id and j.state in ('running', 'paused')",
        )
        .bind(id)
        .bind(word)
        .bind(state)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Sets how fast an unfinished job may go; whoever works on it sees it within [`BEAT`]. `false`: it is finished, or unknown.
    ///
    /// # Errors
    /// Of the database.
    pub async fn set_rate(&self, id: &str, rate: Option<f64>) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update ops.jobs set rate = $2, updated_at = clock_timestamp() where id = $1 and state in ('running', 'paused')",
        )
        .bind(id)
        .bind(rate)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records an act.
    ///
    /// # Errors
    /// Of the database.
    pub async fn record(&self, act: Act<'_>) -> sqlx::Result<()> {
        record(&mut *self.pool.acquire().await?, act).await
    }

    /// The latest acts, newest first.
    ///
    /// # Errors
    /// Of the database.
    pub async fn acts(&self, limit: i64) -> sqlx::Result<Vec<Recorded>> {
        let rows = sqlx::query(
            "select id, at, who, verb, arguments, reason, job, result from ops.audit order by at desc, id desc limit $1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Recorded {
                    id: row.try_get("id")?,
                    at: Timestamp::from(row.try_get::<DateTime<Utc>, _>("at")?),
                    who: row.try_get("who")?,
                    verb: row.try_get("verb")?,
                    arguments: row.try_get("arguments")?,
                    reason: row.try_get("reason")?,
                    job: row.try_get("job")?,
                    result: row.try_get("result")?,
                })
            })
            .collect()
    }
}

/// Records an act in the caller's transaction.
///
/// # Errors
/// Of the database.
pub async fn record(conn: &mut PgConnection, act: Act<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into ops.audit (who, verb, arguments, reason, job, result) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(act.who)
    .bind(act.verb)
    .bind(act.arguments)
    .bind(act.reason)
    .bind(act.job)
    .bind(act.result)
    .execute(conn)
    .await
    .map(|_| ())
}

impl Claim {
    /// Renews the claim and looks for wishes; to be called every [`BEAT`].
    ///
    /// # Errors
    /// Of the database: whether the claim holds is unknown then, and nothing can be committed either.
    pub async fn beat(&self) -> sqlx::Result<Beat> {
        let asked = sqlx::query(
            "update ops.jobs set claimed_until = clock_timestamp() + make_interval(secs => $4)
              where id = $1 and owner = $2 and epoch = $3 and state = 'running' returning wish, rate",
        )
        .bind(&self.job.id)
        .bind(&self.owner)
        .bind(self.epoch)
        .bind(CLAIM.get().as_secs_f64())
        .fetch_optional(&self.pool);
        let Some(row) = db::within(CLAIM.get(), asked).await? else { return Ok(Beat::Lost) };
        Ok(match row.try_get::<Option<String>, _>("wish")?.as_deref() {
            Some("pause") => Beat::Stop(Wish::Pause),
            Some("cancel") => Beat::Stop(Wish::Cancel),
            _ => Beat::Go { rate: row.try_get("rate")? },
        })
    }

    /// Stores what is done, in the transaction of the effect. `false`: the claim is lost; roll back and stop.
    ///
    /// # Errors
    /// Of the database.
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
    /// Of the database.
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
        .bind(state.as_str())
        .bind(result)
        .bind(error)
        .execute(conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
