//! The worker's readers with their stored positions: how far behind they are, the broker knows.

use std::collections::HashMap;

use crate::{callbacks, erase};
use facts::eras;
use runtime::streams::Era;
use schemas::subjects;
use sqlx::{FromRow, PgPool};

/// A reader of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The stage it is part of: `normalize` (one reader a shard), `callbacks`, `commands`, `automate`, `withdrawals`, `endpoints` (one reader
    /// an endpoint).
    pub stage: &'static str,
    /// The stream.
    pub stream: &'static str,
    /// The subjects it reads.
    pub filter: String,
    /// The last position it has done; 0 before the first.
    pub position: u64,
    /// The era of the stream that its position is of; `None`: nothing is stored of it.
    pub era: Option<Era>,
}

#[derive(FromRow)]
struct StoredPosition {
    name: String,
    #[sqlx(try_from = "i64")]
    seq: u64,
    era: Option<Era>,
}

/// All readers, in the order a message passes them. Where the worker has not migrated yet, their positions are 0.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn readers(pool: &PgPool) -> sqlx::Result<Vec<Reader>> {
    let rows: sqlx::Result<Vec<StoredPosition>> =
        sqlx::query_as("select name, seq, era from worker.positions").fetch_all(pool).await;
    let rows = runtime::db::absent_is_empty(rows)?.into_iter();
    let stored: HashMap<String, (u64, Option<Era>)> =
        rows.map(|row| (row.name, (row.seq, row.era))).collect();
    let mut known = HashMap::new();
    for stream in [subjects::META_RAW, subjects::INBOX_COMMANDS, subjects::INBOX_EVENTS] {
        let current = runtime::db::absent_is_empty(eras::current(pool, stream).await)?;
        known.insert(stream, current.map(|known| known.era));
    }
    let reader = |stage, stream: &'static str, filter, name: &str| {
        let (position, era) = stored.get(name).copied().unwrap_or_default();
        let era = era.or_else(|| known.get(stream).copied().flatten());
        Reader { stage, stream, filter, position, era }
    };
    let mut readers: Vec<Reader> = (0..subjects::SHARDS)
        .map(|shard| {
            let filter = subjects::raw_shard_filter(shard);
            reader("normalize", subjects::META_RAW, filter, &inbound::reader_name(shard))
        })
        .collect();
    let callbacks = subjects::CALLBACK_ALL.to_owned();
    readers.push(reader("callbacks", subjects::META_RAW, callbacks, callbacks::NAME));
    let commands = subjects::COMMAND_ALL.to_owned();
    readers.push(reader("commands", subjects::INBOX_COMMANDS, commands, outbound::intake::NAME));
    let events = outbound::automate::FILTER.to_owned();
    readers.push(reader("automate", subjects::INBOX_EVENTS, events, outbound::automate::NAME));
    let withdrawals = erase::WITHDRAWALS.to_owned();
    readers.push(reader("withdrawals", subjects::INBOX_EVENTS, withdrawals, erase::HEARD));
    let mut endpoints: Vec<&String> =
        stored.keys().filter(|name| name.starts_with(endpoints::NAME_PREFIX)).collect();
    endpoints.sort();
    for name in endpoints {
        let events = subjects::EVENT_ALL.to_owned();
        readers.push(reader("endpoints", subjects::INBOX_EVENTS, events, name));
    }
    Ok(readers)
}
