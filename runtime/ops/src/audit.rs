//! Table `ops.audit`: who did what, why, and what came of it.

use schemas::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::store::Ops;

/// Something an operator did, to be recorded. Arguments and results hold ids and counts, never a person's words.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// Who did it.
    pub who: &'a str,
    /// The verb, such as `redrive discard`.
    pub verb: &'a str,
    /// Its arguments.
    pub arguments: Value,
    /// Why.
    pub reason: Option<&'a str>,
    /// The job it belongs to.
    pub job: Option<&'a str>,
    /// What came of it.
    pub result: Option<Value>,
}

/// A row of `ops.audit`.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
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

impl Ops {
    /// Records an act in a transaction of its own.
    ///
    /// # Errors
    /// `sqlx::Error`; the act is not recorded, or nobody knows.
    pub async fn record(&self, act: Act<'_>) -> sqlx::Result<()> {
        record(&mut *self.pool().acquire().await?, act).await
    }

    /// The latest acts, newest first.
    ///
    /// # Errors
    /// `sqlx::Error`
    pub async fn acts(&self, limit: i64) -> sqlx::Result<Vec<Recorded>> {
        let acts = sqlx::query_as(
            "select id, at, who, verb, arguments, reason, job, result from ops.audit order by at desc, id desc limit $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await;
        runtime::db::absent_is_empty(acts)
    }
}

/// Records an act in the caller's transaction.
///
/// # Errors
/// `sqlx::Error`; roll back.
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
