//! Requests for deletion through Meta: whose data they are about.

use facts::accounts::callbacks;
use runtime::broker::Broker;
use sqlx::PgPool;

/// Decides about the requests before which every webhook has been read.
pub(super) async fn decide(broker: &Broker, pool: &PgPool) -> anyhow::Result<()> {
    let undecided = callbacks::undecided(pool).await?;
    if undecided.is_empty() {
        return Ok(());
    }
    let unread = inbound::first_unread(broker, pool).await?;
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
