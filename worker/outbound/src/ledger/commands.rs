//! `worker.commands`: one command.

use std::time::Duration;

use facts::follow_up::conversation_state;
use schemas::command::{Action, Requester};
use schemas::facts::OutcomeError;
use schemas::{
    AccountId, Channel, CommandId, ContactId, ConversationId, EventId, Place, Timestamp,
};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::ended::Ended;
use crate::state::{CommandState, Hold};

/// A command, as `worker.commands` has it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct CommandRow {
    /// From channel, account and id; with `#<position>` for a refused reuse of an id.
    pub(crate) identity: String,
    /// Its id within channel and account.
    pub(crate) command_id: CommandId,
    pub(crate) channel: Channel,
    pub(crate) account_id: AccountId,
    pub(crate) contact_id: Option<ContactId>,
    pub(crate) conversation_id: Option<ConversationId>,
    /// Commands of one lane take effect in order, one at a time.
    pub(crate) lane: String,
    /// Its name, as it came: perhaps one that no version knows.
    pub(crate) command: String,
    /// Its fields, as they came.
    pub(crate) data: Value,
    pub(crate) requester: Requester,
    pub(crate) requester_name: String,
    pub(crate) requested_at: Timestamp,
    /// The event it answers.
    pub(crate) caused_by: Option<EventId>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// The number of the era of INBOX_COMMANDS that its position is of.
    pub(crate) stream_era: i16,
    /// Its position in INBOX_COMMANDS.
    #[sqlx(try_from = "i64")]
    pub(crate) stream_seq: u64,
    pub(crate) state: CommandState,
    /// The rule of the policy that decided.
    pub(crate) rule: Option<String>,
    /// Why it failed.
    #[sqlx(json(nullable))]
    pub(crate) error: Option<OutcomeError>,
    /// What Meta answered, by its ids; of a `sync` its progress.
    pub(crate) result: Option<Value>,
    /// Counted up by every end.
    pub(crate) version: i64,
    /// When the worker accepted it.
    pub(crate) created_at: Timestamp,
    /// When it came to its present end.
    pub(crate) finished_at: Option<Timestamp>,
}

impl CommandRow {
    /// What it asks for. `None` for a command that was refused because its name or fields are wrong.
    pub(crate) fn action(&self) -> Option<Action> {
        Action::read(&self.command, &self.data).ok()
    }

    /// What its author had seen of INBOX_EVENTS, where they said so.
    pub(crate) fn based_on(&self) -> Option<Place> {
        self.data.get("based_on")?.as_u64().map(Place::of_id)
    }

    /// The time before which it is not to be sent.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        self.data.get("not_before")?.as_str()?.parse().ok()
    }

    /// It is the automatic reply of an account: see [`CommandId::automatic`].
    pub(crate) fn is_auto_reply(&self) -> bool {
        self.requester == Requester::Automation && self.command_id.as_str().starts_with("auto:")
    }
}

/// The database's clock, which all workers share.
pub(crate) async fn now(conn: &mut PgConnection) -> sqlx::Result<Timestamp> {
    sqlx::query_scalar("select clock_timestamp()").fetch_one(conn).await
}

/// Locks a command, whatever its state. Everything that changes parts or echoes' claims does this first.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    identity: &str,
) -> sqlx::Result<Option<CommandRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, requester, requester_name,
                requested_at, caused_by, traceparent, stream_era, stream_seq, state, rule, error, result, version, created_at, finished_at
           from worker.commands where identity = $1 for update",
    )
    .bind(identity)
    .fetch_optional(conn)
    .await
}

/// Locks a command. `false`: it has ended, perhaps by another worker because a claim had lapsed.
pub(crate) async fn lock_open(conn: &mut PgConnection, identity: &str) -> sqlx::Result<bool> {
    let locked = lock(conn, identity).await?;
    Ok(locked.is_some_and(|command| command.state == CommandState::Open))
}

/// Locks a command unless somebody else has.
pub(crate) async fn try_lock(
    conn: &mut PgConnection,
    identity: &str,
) -> sqlx::Result<Option<CommandRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, requester, requester_name,
                requested_at, caused_by, traceparent, stream_era, stream_seq, state, rule, error, result, version, created_at, finished_at
           from worker.commands where identity = $1 for update skip locked",
    )
    .bind(identity)
    .fetch_optional(conn)
    .await
}

/// Locks a command if it is open and due, unless somebody else has.
pub(crate) async fn lock_due(
    conn: &mut PgConnection,
    identity: &str,
) -> sqlx::Result<Option<CommandRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, requester, requester_name,
                requested_at, caused_by, traceparent, stream_era, stream_seq, state, rule, error, result, version, created_at, finished_at
           from worker.commands
          where identity = $1 and state = 'open' and due_at <= clock_timestamp() for update skip locked",
    )
    .bind(identity)
    .fetch_optional(conn)
    .await
}

/// A command that has ended and whose outcome is not published. Locks nothing.
pub(crate) async fn ended_unpublished(
    conn: &mut PgConnection,
    identity: &str,
) -> sqlx::Result<Option<CommandRow>> {
    sqlx::query_as(
        "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, requester, requester_name,
                requested_at, caused_by, traceparent, stream_era, stream_seq, state, rule, error, result, version, created_at, finished_at
           from worker.commands where identity = $1 and state <> 'open' and not outcome_published",
    )
    .bind(identity)
    .fetch_optional(conn)
    .await
}

/// When an open command is looked at again, and why it waits.
pub(crate) async fn wait(
    conn: &mut PgConnection,
    identity: &str,
    until: Timestamp,
    held: Option<Hold>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set due_at = $2, held = $3 where identity = $1 and state = 'open'",
    )
    .bind(identity)
    .bind(until)
    .bind(held)
    .execute(conn)
    .await?;
    Ok(())
}

/// The claim of a command whose attempt begins: others look at it again after `deadline`.
pub(crate) async fn claim_until(
    conn: &mut PgConnection,
    identity: &str,
    deadline: Timestamp,
    rule: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set due_at = $2, held = null, rule = $3 where identity = $1",
    )
    .bind(identity)
    .bind(deadline)
    .bind(rule)
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps the progress of an open command, which is due again at once.
pub(crate) async fn save_progress(
    conn: &mut PgConnection,
    identity: &str,
    progress: &Value,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set result = $2, due_at = clock_timestamp(), held = null where identity = $1 and state = 'open'",
    )
    .bind(identity)
    .bind(progress)
    .execute(conn)
    .await?;
    Ok(())
}

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct End<'a> {
    pub(crate) state: CommandState,
    /// The rule of the policy that decided; `None` keeps the one that is there.
    pub(crate) rule: Option<&'a str>,
    pub(crate) error: Option<OutcomeError>,
    /// `None` keeps the one that is there.
    pub(crate) result: Option<Value>,
}

/// Ends a command (again): its outcome is to be published, and whoever waits behind it is woken.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    identity: &str,
    end: End<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "with ended as (
            update worker.commands
               set state = $2, rule = coalesce($3, rule), error = $4, result = coalesce($5, result), held = null,
                   finished_at = clock_timestamp(), version = version + 1, outcome_published = false
             where identity = $1
            returning lane)
         update worker.commands c set due_at = clock_timestamp(), held = null
           from ended where c.lane = ended.lane and c.state = 'open' and c.held = 'parked' and c.identity <> $1",
    )
    .bind(identity)
    .bind(end.state)
    .bind(end.rule)
    .bind(end.error.map(Json))
    .bind(end.result)
    .execute(&mut *conn)
    .await?;
    conversation_state::wake(conn).await
}

/// Ends a command as its outcome reports, which is published already.
pub(crate) async fn finish_as_reported(
    conn: &mut PgConnection,
    identity: &str,
    end: &Ended,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands
            set state = $2, rule = coalesce($3, rule), error = $4, result = coalesce($5, result), held = null,
                finished_at = $6, version = version + 1, outcome_published = true
          where identity = $1",
    )
    .bind(identity)
    .bind(end.state)
    .bind(end.rule.as_deref())
    .bind(end.error.as_ref().map(Json))
    .bind(end.result.as_ref())
    .bind(end.at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The outcome of this version is published. Only what was read is marked: a change meanwhile has an outcome of its own.
pub(crate) async fn mark_published(
    conn: &mut PgConnection,
    identity: &str,
    version: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set outcome_published = true where identity = $1 and version = $2",
    )
    .bind(identity)
    .bind(version)
    .execute(conn)
    .await?;
    Ok(())
}

/// The commands whose outcome is still to be published, oldest first: those that ended `grace` ago, whose own task has not got to
/// it, and those that were refused at the door and have no task.
pub(crate) async fn unpublished(
    pool: &PgPool,
    grace: Duration,
    max: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.identity from worker.commands c
          where c.state <> 'open' and not c.outcome_published
            and (c.finished_at <= clock_timestamp() - make_interval(secs => $1)
                 or not exists (select from (select from worker.parts p where p.identity = c.identity offset 0) part))
          order by c.finished_at limit $2",
    )
    .bind(grace.as_secs_f64())
    .bind(max)
    .fetch_all(pool)
    .await
}

/// Channel and account of a conversation, as far as the worker knows of it.
pub(crate) async fn account_of(
    pool: &PgPool,
    conversation: &str,
) -> sqlx::Result<Option<(String, String)>> {
    sqlx::query_as(
        "select channel, account_id from worker.conversations where conversation_id = $1
         union all
         (select channel, account_id from worker.commands where conversation_id = $1 limit 1)
         limit 1",
    )
    .bind(conversation)
    .fetch_optional(pool)
    .await
}
