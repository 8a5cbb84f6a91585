//! Statements that take the token of an account away.

use schemas::{AccountId, Channel};
use sqlx::PgConnection;

use super::only::Only;

/// Locks the account, so that no other token is stored before the caller's transaction ends.
pub(super) async fn may_disconnect(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
    only: Only<'_>,
) -> sqlx::Result<bool> {
    let token: Option<Vec<u8>> = sqlx::query_scalar(
        "select token from worker.accounts where channel = $1 and id = $2 and state <> 'disconnected' for update",
    )
    .bind(channel)
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(token) = token else { return Ok(false) };
    if only.stored().is_some_and(|stored| stored != token.as_slice()) {
        return Ok(false);
    }
    let Some(by) = only.connected_by() else { return Ok(true) };
    // A statement of its own: it sees what was stored before the lock was granted.
    let newer: bool = sqlx::query_scalar(
        "select exists (select from worker.account_upkeep
                         where channel = $1 and account_id = $2 and connected_at > $3)",
    )
    .bind(channel)
    .bind(id)
    .bind(by)
    .fetch_one(conn)
    .await?;
    Ok(!newer)
}

/// [`may_disconnect`] holds the row.
pub(super) async fn disconnect(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
    nothing: &[u8],
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.accounts set state = 'disconnected', state_reason = $4, state_since = now(), token = $3, updated_at = now()
          where channel = $1 and id = $2 and state <> 'disconnected'",
    )
    .bind(channel)
    .bind(id)
    .bind(nothing)
    .bind(reason)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update worker.account_upkeep
            set next_token = null, next_token_ends = null, token_ends = null, scopes = null, scopes_missing = null,
                looked_at = null,
                look_error = null, refresh_error = null
          where channel = $1 and account_id = $2",
    )
    .bind(channel)
    .bind(id)
    .execute(&mut *conn)
    .await?;
    sqlx::query("delete from worker.account_fields where channel = $1 and account_id = $2")
        .bind(channel)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
