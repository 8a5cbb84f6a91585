//! `api.imports`: which command imports which conversation, for all processes of the api.

use std::time::Duration;

use schemas::CommandId;
use sqlx::PgPool;

/// An import whose outcome nobody knows after this long does not keep others back any more: nobody waits for it for longer.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(25);

/// The command that imports a conversation: `own` if no other does, or if that was `ended`.
///
/// # Errors
/// `sqlx::Error`; whether it was noted is unknown, ask again.
pub(crate) async fn join(
    pool: &PgPool,
    conversation: &str,
    own: &CommandId,
    ended: Option<&CommandId>,
) -> sqlx::Result<CommandId> {
    loop {
        let noted = sqlx::query_scalar(
            "insert into api.imports as i (conversation_id, command_id, until)
             values ($1, $2, clock_timestamp() + make_interval(secs => $4))
             on conflict (conversation_id) do update set command_id = excluded.command_id, until = excluded.until
              where i.command_id = $3 or i.until < clock_timestamp()
             returning command_id",
        )
        .bind(conversation)
        .bind(own)
        .bind(ended)
        .bind(FORGOTTEN_AFTER.as_secs_f64())
        .fetch_optional(pool)
        .await?;
        if let Some(own) = noted {
            return Ok(own);
        }
        let other =
            sqlx::query_scalar("select command_id from api.imports where conversation_id = $1")
                .bind(conversation)
                .fetch_optional(pool)
                .await?;
        // Else it has ended in between.
        if let Some(other) = other {
            return Ok(other);
        }
    }
}

/// The import has ended, or was never published.
///
/// # Errors
/// `sqlx::Error`; who comes next finds its outcome, or waits until it is forgotten.
pub(crate) async fn end(pool: &PgPool, conversation: &str, own: &CommandId) -> sqlx::Result<()> {
    sqlx::query("delete from api.imports where conversation_id = $1 and command_id = $2")
        .bind(conversation)
        .bind(own)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Deletes what nobody ended.
///
/// # Errors
/// `sqlx::Error`; call again.
pub(crate) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("delete from api.imports where until < clock_timestamp()")
        .execute(pool)
        .await
        .map(|_| ())
}
