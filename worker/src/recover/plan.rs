//! What a recovery would read, and whether it may begin.

use async_nats::jetstream::Context;
use runtime::streams::{self, StreamName};
use serde::Serialize;
use sqlx::PgPool;

use super::rows;
use super::stage::Stage;

/// The streams that are read.
pub(super) const READ: [StreamName; 4] =
    [StreamName::Events, StreamName::Raw, StreamName::Commands, StreamName::Attempts];

/// What there is to read, and into what.
#[derive(Clone, Debug, Serialize)]
pub struct RecoveryPlan {
    /// The streams that are read.
    pub streams: Vec<StreamPart>,
    /// What the database is.
    pub database: Database,
    /// Connections of workers to it.
    pub workers: i64,
}

/// A stream that is read.
#[derive(Clone, Debug, Serialize)]
pub struct StreamPart {
    /// Its name.
    pub name: &'static str,
    /// Whether it is there.
    pub is_there: bool,
    /// Its messages.
    pub messages: u64,
    /// Its first position.
    pub first: u64,
    /// Its last one.
    pub last: u64,
}

/// What a database is to a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Database {
    /// Nobody worked on it.
    Empty,
    /// A recovery was interrupted in this stage, or runs.
    Begun(Stage),
    /// A recovery filled it.
    Recovered,
    /// A worker works on it, or did.
    InUse,
}

/// Looks. Nothing is changed, and nothing is migrated.
///
/// # Errors
/// Broker or Postgres did not answer; try again.
pub async fn plan(pool: &PgPool, js: &Context) -> anyhow::Result<RecoveryPlan> {
    let mut parts = Vec::with_capacity(READ.len());
    for name in READ {
        let found = streams::find(js, name.as_str()).await?;
        let state = found.as_ref().map(|stream| &stream.cached_info().state);
        parts.push(StreamPart {
            name: name.as_str(),
            is_there: state.is_some(),
            messages: state.map_or(0, |state| state.messages),
            first: state.map_or(0, |state| state.first_sequence),
            last: state.map_or(0, |state| state.last_sequence),
        });
    }
    let database = database(pool).await?;
    Ok(RecoveryPlan { streams: parts, database, workers: rows::workers(pool).await? })
}

async fn database(pool: &PgPool) -> sqlx::Result<Database> {
    let begun = runtime::db::absent_is_empty(rows::read(pool).await)?;
    Ok(match begun {
        Some(row) if row.finished => Database::Recovered,
        Some(row) => Database::Begun(row.stage),
        None if runtime::db::absent_is_empty(rows::is_used(pool).await)? => Database::InUse,
        None => Database::Empty,
    })
}
