//! How far META_RAW has been read by all shards.

use runtime::broker::Broker;
use runtime::follow::stored;
use schemas::subjects::{META_RAW, raw_shard_filter};
use sqlx::PgPool;

use crate::replay;

/// The first raw webhook that its shard has not read; `None`: all are read.
///
/// # Errors
/// Broker or Postgres did not answer; ask again.
pub async fn first_unread(broker: &Broker, pool: &PgPool) -> anyhow::Result<Option<u64>> {
    let mut first: Option<u64> = None;
    for (shard, position) in (0..).zip(replay::positions(pool).await?) {
        let filter = raw_shard_filter(shard);
        let next = stored::next(broker.js(), META_RAW, &filter, position + 1).await?;
        first = first.into_iter().chain(next.map(|next| next.sequence)).min();
    }
    Ok(first)
}
