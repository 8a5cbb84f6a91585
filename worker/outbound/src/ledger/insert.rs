//! `worker.commands`: new rows.

use schemas::command::UncheckedCommand;
use schemas::facts::OutcomeError;
use schemas::{ConversationId, EventId, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::parts::PlannedPart;
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
    /// The number of its era.
    pub(crate) stream_era: i16,
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
    let conversation = conversation(command);
    let inserted = sqlx::query(
        "insert into worker.commands (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data,
                body_digest, requester, requester_name, requested_at, caused_by, traceparent, stream_seq, state, error, rule, result,
                finished_at, outcome_published, stream_era)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                 case when $17 = 'open' then null else coalesce($21, clock_timestamp()) end, $21 is not null, $22)
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
    .bind(caused_by(command))
    .bind(new.traceparent)
    .bind(i64::try_from(new.stream_seq).unwrap_or(i64::MAX))
    .bind(new.state)
    .bind(new.error.map(Json))
    .bind(new.rule)
    .bind(new.result)
    .bind(new.reported_at)
    .bind(new.stream_era)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// An open command that was added.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Added {
    #[sqlx(try_from = "i64")]
    pub(crate) stream_seq: u64,
    /// Nothing that came before is open in its lane.
    pub(crate) is_first: bool,
}

/// Adds open commands and those of the parts that belong to them. Returns those that were added; of the others one of their identity is
/// there, or one of the three events that may be its outcome is recorded.
pub(crate) async fn commands(
    conn: &mut PgConnection,
    new: &[NewCommand<'_>],
    outcomes: &[[EventId; 3]],
    parts: &[PlannedPart<'_>],
) -> sqlx::Result<Vec<Added>> {
    let text = |of: fn(&UncheckedCommand) -> &str| -> Vec<&str> {
        new.iter().map(|new| of(new.command)).collect()
    };
    let contacts: Vec<Option<&str>> = new
        .iter()
        .map(|new| new.command.contact_id.as_ref().map(|contact| contact.as_str()))
        .collect();
    let conversations: Vec<Option<String>> =
        new.iter().map(|new| conversation(new.command).map(ConversationId::into_string)).collect();
    let data: Vec<&Value> = new.iter().map(|new| &new.command.data).collect();
    let digests: Vec<&[u8]> = new.iter().map(|new| new.body_digest).collect();
    let requested: Vec<Timestamp> = new.iter().map(|new| new.command.requested_at).collect();
    let caused: Vec<Option<&str>> = new.iter().map(|new| caused_by(new.command)).collect();
    let traces: Vec<Option<&str>> = new.iter().map(|new| new.traceparent).collect();
    let seqs: Vec<i64> =
        new.iter().map(|new| i64::try_from(new.stream_seq).unwrap_or(i64::MAX)).collect();
    sqlx::query_as(
        "with added as (
            insert into worker.commands (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data,
                   body_digest, requester, requester_name, requested_at, caused_by, traceparent, stream_seq, stream_era)
            select t.identity, t.command_id, t.channel, t.account_id, t.contact_id, t.conversation_id, t.lane, t.command, t.data,
                   t.body_digest, t.requester, t.requester_name, t.requested_at, t.caused_by, t.traceparent, t.stream_seq, t.stream_era
              from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::jsonb[],
                          $10::bytea[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::text[], $16::bigint[],
                          $23::text[], $24::text[], $25::text[], $26::smallint[])
                   as t (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, body_digest,
                         requester, requester_name, requested_at, caused_by, traceparent, stream_seq, sent, failed, unknown, stream_era)
             where not exists (select from (select from worker.facts f where f.event_id in (t.sent, t.failed, t.unknown) offset 0) said)
               and not exists (select from (select from worker.found_outcomes o
                                             where o.event_id in (t.sent, t.failed, t.unknown) offset 0) found)
            on conflict (identity) do nothing
            returning identity, lane, stream_era, stream_seq),
         planned as (
            insert into worker.parts (identity, n, lane, payload, content, peer)
            select t.* from unnest($17::text[], $18::int[], $19::text[], $20::jsonb[], $21::bytea[], $22::text[])
                            as t (identity, n, lane, payload, content, peer)
             where t.identity in (select added.identity from added))
         select added.stream_seq,
                not exists (select from (select from worker.commands e
                                          where e.lane = added.lane and e.state = 'open'
                                            and (e.stream_era, e.stream_seq) < (added.stream_era, added.stream_seq) offset 0) earlier)
                    as is_first
           from added",
    )
    .bind(new.iter().map(|new| new.identity).collect::<Vec<_>>())
    .bind(text(|command| command.id.as_str()))
    .bind(text(|command| command.channel.as_str()))
    .bind(text(|command| command.account_id.as_str()))
    .bind(contacts)
    .bind(conversations)
    .bind(new.iter().map(|new| new.lane).collect::<Vec<_>>())
    .bind(text(|command| &command.name))
    .bind(data)
    .bind(digests)
    .bind(text(|command| command.requested_by.kind.as_str()))
    .bind(text(|command| &command.requested_by.name))
    .bind(requested)
    .bind(caused)
    .bind(traces)
    .bind(seqs)
    .bind(parts.iter().map(|part| part.identity).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.n).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.lane).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| Json(part.payload)).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.content.as_slice()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.peer).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|[sent, ..]| sent.as_str()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|[_, failed, _]| failed.as_str()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|[.., unknown]| unknown.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.stream_era).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

fn conversation(command: &UncheckedCommand) -> Option<ConversationId> {
    let contact = command.contact_id.as_ref()?;
    Some(ConversationId::of(command.channel, &command.account_id, contact))
}

fn caused_by(command: &UncheckedCommand) -> Option<&str> {
    command.data.get("caused_by").and_then(Value::as_str)
}

/// What the command of this identity asks for, as a digest.
pub(crate) async fn body_digest(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Vec<u8>> {
    sqlx::query_scalar("select body_digest from worker.commands where identity = $1")
        .bind(identity)
        .fetch_one(conn)
        .await
}
