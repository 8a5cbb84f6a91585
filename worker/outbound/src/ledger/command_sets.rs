//! `worker.commands`: many commands at once. Each statement has the conditions of its counterpart in [`super::commands`].
//!
//! Rows are looked up by their key whatever the table held when the plan was made (docs/decisions/27). A condition that is the predicate of
//! a partial index is written so that Postgres does not take it for one: `in ('open', '')`, `is not true`.

use schemas::{AccountId, Channel, CommandId};
use sqlx::PgConnection;

use super::commands::CommandRow;

/// A command whose end is not known, by what its outcome would be named.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct OpenRow {
    pub(crate) identity: String,
    pub(crate) command_id: CommandId,
    pub(crate) channel: Channel,
    pub(crate) account_id: AccountId,
    pub(crate) command: String,
}

/// Locks those of these commands that are open and due, and that nobody else has. The longest due come first.
pub(crate) async fn lock_all_due(
    conn: &mut PgConnection,
    identities: &[String],
) -> sqlx::Result<Vec<CommandRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, requester, requester_name,
                requested_at, caused_by, traceparent, stream_era, stream_seq, state, rule, error, result, version, created_at, finished_at
           from worker.commands
          where identity = any($1) and state in ('open', '') and due_at <= clock_timestamp()
          order by due_at, stream_seq for update skip locked",
    )
    .bind(identities)
    .fetch_all(conn)
    .await
}

/// Of these commands, those that have ended and whose outcome is not published. Locks nothing.
pub(crate) async fn all_ended_unpublished(
    conn: &mut PgConnection,
    identities: &[String],
) -> sqlx::Result<Vec<CommandRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, requester, requester_name,
                requested_at, caused_by, traceparent, stream_era, stream_seq, state, rule, error, result, version, created_at, finished_at
           from worker.commands where identity = any($1) and state <> 'open' and outcome_published is not true order by finished_at, identity",
    )
    .bind(identities)
    .fetch_all(conn)
    .await
}

/// As [`super::commands::mark_published`], for many.
pub(crate) async fn mark_all_published(
    conn: &mut PgConnection,
    identities: &[&str],
    versions: &[i64],
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands c set outcome_published = true
           from unnest($1::text[], $2::bigint[]) as t (identity, version)
          where c.identity = any(array[t.identity]) and c.version = t.version",
    )
    .bind(identities)
    .bind(versions)
    .execute(conn)
    .await?;
    Ok(())
}

/// Commands that are open or unknown, by identity, behind `after`. Those refused at the door have outcomes of their own.
pub(crate) async fn not_settled(
    conn: &mut PgConnection,
    after: &str,
    max: i64,
) -> sqlx::Result<Vec<OpenRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, command from worker.commands
          where state in ('open', 'unknown') and identity > $1 and position('#' in identity) = 0
            and channel in ('instagram', 'messenger')
          order by identity limit $2",
    )
    .bind(after)
    .bind(max)
    .fetch_all(conn)
    .await
}
