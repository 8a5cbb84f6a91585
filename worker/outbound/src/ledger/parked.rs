//! `worker.commands`: what is `unknown`, and commands as people name them.

use schemas::{Channel, Timestamp};
use sqlx::{PgConnection, PgPool};

/// A command whose outcome is unknown, with the part it stands at.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct ParkedRow {
    pub(crate) command_id: String,
    pub(crate) command: String,
    pub(crate) channel: String,
    pub(crate) account_id: String,
    pub(crate) conversation_id: Option<String>,
    pub(crate) contact_id: Option<String>,
    pub(crate) finished_at: Option<Timestamp>,
    /// From 1.
    pub(crate) part: Option<i32>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) text: Option<String>,
    /// How many parts the command has.
    pub(crate) parts: i64,
    /// Of all its parts.
    pub(crate) attempts: i64,
}

/// Parked commands, oldest first.
pub(crate) async fn list(
    pool: &PgPool,
    channel: Option<Channel>,
    account_id: Option<&str>,
    max: i64,
) -> sqlx::Result<Vec<ParkedRow>> {
    sqlx::query_as(
        "select c.command_id, c.command, c.channel, c.account_id, c.conversation_id, c.contact_id, c.finished_at,
                u.n + 1 as part, u.started_at, coalesce(u.payload #>> '{message,text}', u.payload ->> 'text') as text,
                (select count(*) from worker.parts p where p.identity = c.identity) as parts,
                (select coalesce(sum(p.attempt), 0) from worker.parts p where p.identity = c.identity)::bigint as attempts
           from worker.commands c
           left join lateral (select * from worker.parts p where p.identity = c.identity and p.state = 'unknown' order by p.n limit 1) u on true
          where c.state = 'unknown' and ($2::text is null or c.account_id = $2) and ($3::text is null or c.channel = $3)
          order by c.finished_at, c.identity limit $1",
    )
    .bind(max)
    .bind(account_id)
    .bind(channel)
    .fetch_all(pool)
    .await
}

/// The identities of commands of this id; several where more than one account has one.
pub(crate) async fn identities(
    conn: &mut PgConnection,
    command_id: &str,
    channel: Option<Channel>,
    account_id: Option<&str>,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select identity from worker.commands
          where command_id = $1 and position('#' in identity) = 0
            and ($2::text is null or account_id = $2) and ($3::text is null or channel = $3)",
    )
    .bind(command_id)
    .bind(account_id)
    .bind(channel)
    .fetch_all(conn)
    .await
}
