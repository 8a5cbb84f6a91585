//! `worker.commands`: new rows.

use schemas::command::UncheckedCommand;
use schemas::facts::OutcomeError;
use schemas::{ConversationId, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::state::CommandState;

/// What a new row says.
#[derive(Clone, Debug)]
pub(crate) struct NewCommand<'a> {
    pub(crate) identity: &'a str,
    pub(crate) command: &'a UncheckedCommand,
    pub(crate) lane: &'a str,
    /// What it asks for: equal digests under one id are the same wish.
    pub(crate) body_digest: &'a [u8],
    pub(crate) traceparent: Option<&'a str>,
    /// Its position in INBOX_COMMANDS.
    pub(crate) stream_seq: u64,
    pub(crate) state: CommandState,
    pub(crate) error: Option<&'a OutcomeError>,
    pub(crate) rule: Option<&'a str>,
    pub(crate) result: Option<&'a Value>,
    /// When its outcome was published, where an earlier ledger has done that.
    pub(crate) reported_at: Option<Timestamp>,
}

/// Adds a command. `false`: one of this identity is there.
pub(crate) async fn command(conn: &mut PgConnection, new: &NewCommand<'_>) -> sqlx::Result<bool> {
    let command = new.command;
    let conversation = command
        .contact_id
        .as_ref()
        .map(|contact| ConversationId::of(command.channel, &command.account_id, contact));
    let inserted = sqlx::query(
        "insert into worker.commands (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data,
                body_digest, requester, requester_name, requested_at, caused_by, traceparent, stream_seq, state, error, rule, result,
                finished_at, outcome_published)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                 case when $17 = 'open' then null else coalesce($21, clock_timestamp()) end, $21 is not null)
         on conflict (identity) do nothing",
    )
    .bind(new.identity)
    .bind(&command.id)
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(&command.contact_id)
    .bind(conversation)
    .bind(new.lane)
    .bind(&command.name)
    .bind(&command.data)
    .bind(new.body_digest)
    .bind(command.requested_by.kind)
    .bind(&command.requested_by.name)
    .bind(command.requested_at)
    .bind(command.data.get("caused_by").and_then(Value::as_str))
    .bind(new.traceparent)
    .bind(i64::try_from(new.stream_seq).unwrap_or(i64::MAX))
    .bind(new.state)
    .bind(new.error.map(Json))
    .bind(new.rule)
    .bind(new.result)
    .bind(new.reported_at)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// What the command of this identity asks for, as a digest.
pub(crate) async fn body_digest(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Vec<u8>> {
    sqlx::query_scalar("select body_digest from worker.commands where identity = $1")
        .bind(identity)
        .fetch_one(conn)
        .await
}
