//! The worker's readers with their stored positions: how far behind they are, the broker knows.

use std::collections::HashMap;

use schemas::subjects;
use sqlx::{FromRow, PgPool};

/// A reader of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The stage it is part of: `normalize` (one reader a shard), `commands`, `automate`.
    pub stage: &'static str,
    /// The stream.
    pub stream: &'static str,
    /// The subjects it reads.
    pub filter: String,
    /// The last position it has done; 0 before the first.
    pub position: u64,
}

#[derive(FromRow)]
struct StoredPosition {
    name: String,
    seq: i64,
}

/// All readers, in the order a message passes them. Where the worker has not migrated yet, their positions are 0.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn readers(pool: &PgPool) -> sqlx::Result<Vec<Reader>> {
    let rows: sqlx::Result<Vec<StoredPosition>> =
        sqlx::query_as("select name, seq from worker.positions").fetch_all(pool).await;
    let stored: HashMap<String, i64> =
        runtime::db::absent_is_empty(rows)?.into_iter().map(|row| (row.name, row.seq)).collect();
    let position =
        |name: &str| stored.get(name).and_then(|seq| u64::try_from(*seq).ok()).unwrap_or(0);
    let mut readers: Vec<Reader> = (0..subjects::SHARDS)
        .map(|shard| Reader {
            stage: "normalize",
            stream: subjects::META_RAW,
            filter: subjects::raw_shard_filter(shard),
            position: position(&format!("raw-{shard:02}")),
        })
        .collect();
    readers.push(Reader {
        stage: "commands",
        stream: subjects::INBOX_COMMANDS,
        filter: subjects::COMMAND_ALL.to_owned(),
        position: position(outbound::intake::NAME),
    });
    readers.push(Reader {
        stage: "automate",
        stream: subjects::INBOX_EVENTS,
        filter: outbound::automate::FILTER.to_owned(),
        position: position(outbound::automate::NAME),
    });
    Ok(readers)
}
