//! Requests for deletion through Meta: whose data they are about.

use facts::accounts::callbacks;
use runtime::broker::Broker;
use runtime::follow::stored;
use sqlx::PgPool;

use crate::readers::{self, NORMALIZE};

/// Decides about the requests before which every webhook has been read.
pub(super) async fn decide(broker: &Broker, pool: &PgPool) -> anyhow::Result<()> {
    let undecided = callbacks::undecided(pool).await?;
    if undecided.is_empty() {
        return Ok(());
    }
    let unread = first_unread(broker, pool).await?;
    for request in undecided {
        if unread.is_some_and(|unread| unread <= request.position) {
            break;
        }
        let mut tx = pool.begin().await?;
        callbacks::decide(&mut tx, &request).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The first raw webhook that its shard has not read; `None`: all are read.
async fn first_unread(broker: &Broker, pool: &PgPool) -> anyhow::Result<Option<u64>> {
    let mut first: Option<u64> = None;
    let readers = readers::readers(pool).await?;
    for reader in readers.iter().filter(|reader| reader.stage == NORMALIZE) {
        let from = reader.position + 1;
        let next = stored::next(broker.js(), reader.stream, &reader.filter, from).await?;
        first = first.into_iter().chain(next.map(|next| next.sequence)).min();
    }
    Ok(first)
}
