//! The rows of the ledger: reading them, and the few statements that change them. Every change names the state it expects.

use chrono::{DateTime, Utc};
use schemas::command::{Action, Requester};
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, Timestamp};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::decide::{Journal, State};
use super::plan::Payload;
use facts::follow_up::content::Content;
use facts::follow_up::conversation_state;

/// A command, as `worker.commands` has it.
#[derive(Clone, Debug)]
pub struct CommandRow {
    /// Its identity.
    pub identity: String,
    /// Its id within channel and account.
    pub command_id: String,
    /// The channel.
    pub channel: Channel,
    /// The account that acts.
    pub account_id: AccountId,
    /// The person it is for.
    pub contact_id: Option<String>,
    /// The conversation with them.
    pub conversation_id: Option<String>,
    /// What is done in order with it.
    pub lane: String,
    /// Its name.
    pub command: String,
    /// What it asks for. `Err`: its fields, of a command that was refused because they are wrong.
    pub action: Result<Action, Value>,
    /// Who wants it: kind.
    pub requester: Requester,
    /// Who wants it: name.
    pub requester_name: String,
    /// Since when.
    pub requested_at: Timestamp,
    /// The event it answers.
    pub caused_by: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Its position in INBOX_COMMANDS.
    pub stream_seq: u64,
    /// `open`, `sent`, `failed`, `partial`, `unknown`.
    pub state: String,
    /// The rule of the policy that decided.
    pub rule: Option<String>,
    /// Why it failed.
    pub error: Option<OutcomeError>,
    /// What Meta answered, by its ids; the progress of a `sync`.
    pub result: Option<Value>,
    /// Counted up by every change of state.
    pub version: i64,
    /// When the worker accepted it.
    pub created_at: Timestamp,
    /// When it came to its present end.
    pub finished_at: Option<Timestamp>,
}

/// The columns of [`CommandRow`].
const COMMAND_COLUMNS: &str = "c.identity, c.command_id, c.channel, c.account_id, c.contact_id, c.conversation_id, c.lane, \
     c.command, c.data, c.requester, c.requester_name, c.requested_at, c.caused_by, c.traceparent, c.stream_seq, c.state, c.rule, \
     c.error, c.result, c.version, c.created_at, c.finished_at";

/// A part, as `worker.parts` has it.
#[derive(Clone, Debug)]
pub struct PartRow {
    /// From 0.
    pub n: i32,
    /// Its state.
    pub state: State,
    /// What it does.
    pub payload: Payload,
    /// What its effect says.
    pub content: Content,
    /// Whom or what its effect is under.
    pub peer: String,
    /// Attempts so far.
    pub attempt: u32,
    /// Of these, not executed.
    pub refusals: u32,
    /// Start of the first attempt.
    pub first_at: Option<Timestamp>,
    /// Start of the current one.
    pub started_at: Option<Timestamp>,
    /// Its deadline.
    pub deadline: Option<Timestamp>,
    /// It ended without an answer that tells.
    pub lost: bool,
    /// Some attempt did.
    pub uncertain: bool,
    /// Not before.
    pub not_before: Option<Timestamp>,
    /// Reads after the current attempt.
    pub looks: u32,
    /// The first that showed nothing.
    pub absent_at: Option<Timestamp>,
    /// Meta's id.
    pub message_id: Option<String>,
    /// When Meta took it.
    pub sent_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<OutcomeError>,
}

impl PartRow {
    /// What the decision needs of it.
    pub fn journal(&self, planned_at: Timestamp) -> Journal {
        Journal {
            state: self.state,
            repeat: self.payload.repeat(),
            attempt: self.attempt,
            refusals: self.refusals,
            started_at: self.started_at,
            deadline: self.deadline,
            lost: self.lost,
            not_before: self.not_before,
            looks: self.looks,
            absent_at: self.absent_at,
            planned_at,
        }
    }
}

/// A column holds what this version does not know.
pub(super) fn bad(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: "a value this version does not know".into(),
    }
}

/// A column with a time.
pub(crate) fn time(row: &PgRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<DateTime<Utc>>, _>(column)?.map(Timestamp::from))
}

fn count(row: &PgRow, column: &str) -> sqlx::Result<u32> {
    u32::try_from(row.try_get::<i32, _>(column)?).map_err(|_| bad(column))
}

fn json<T: serde::de::DeserializeOwned>(row: &PgRow, column: &str) -> sqlx::Result<Option<T>> {
    match row.try_get::<Option<Value>, _>(column)? {
        Some(value) => serde_json::from_value(value).map(Some).map_err(|_| bad(column)),
        None => Ok(None),
    }
}

impl CommandRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let data: Value = row.try_get("data")?;
        Ok(Self {
            identity: row.try_get("identity")?,
            command_id: row.try_get("command_id")?,
            channel: row.try_get::<String, _>("channel")?.parse().map_err(|_| bad("channel"))?,
            account_id: AccountId::new(row.try_get::<String, _>("account_id")?),
            contact_id: row.try_get("contact_id")?,
            conversation_id: row.try_get("conversation_id")?,
            lane: row.try_get("lane")?,
            command: row.try_get("command")?,
            action: Action::read(row.try_get("command")?, &data).map_err(|_| data),
            requester: match row.try_get::<&str, _>("requester")? {
                "person" => Requester::Person,
                _ => Requester::Automation,
            },
            requester_name: row.try_get("requester_name")?,
            requested_at: time(row, "requested_at")?.ok_or_else(|| bad("requested_at"))?,
            caused_by: row.try_get("caused_by")?,
            traceparent: row.try_get("traceparent")?,
            stream_seq: u64::try_from(row.try_get::<i64, _>("stream_seq")?)
                .map_err(|_| bad("stream_seq"))?,
            state: row.try_get("state")?,
            rule: row.try_get("rule")?,
            error: json(row, "error")?,
            result: row.try_get("result")?,
            version: row.try_get("version")?,
            created_at: time(row, "created_at")?.ok_or_else(|| bad("created_at"))?,
            finished_at: time(row, "finished_at")?,
        })
    }

    /// It is the automatic reply of an account: see [`schemas::CommandId::automatic`].
    pub fn is_auto_reply(&self) -> bool {
        self.requester == Requester::Automation && self.command_id.starts_with("auto:")
    }
}

impl PartRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            n: row.try_get("n")?,
            state: State::parse(row.try_get("state")?).ok_or_else(|| bad("state"))?,
            payload: json(row, "payload")?.ok_or_else(|| bad("payload"))?,
            content: content(row)?,
            peer: row.try_get("peer")?,
            attempt: count(row, "attempt")?,
            refusals: count(row, "refusals")?,
            first_at: time(row, "first_at")?,
            started_at: time(row, "started_at")?,
            deadline: time(row, "deadline")?,
            lost: row.try_get("lost")?,
            uncertain: row.try_get("uncertain")?,
            not_before: time(row, "not_before")?,
            looks: count(row, "looks")?,
            absent_at: time(row, "absent_at")?,
            message_id: row.try_get("message_id")?,
            sent_at: time(row, "sent_at")?,
            error: json(row, "error")?,
        })
    }
}

/// The column `content`.
pub(crate) fn content(row: &PgRow) -> sqlx::Result<Content> {
    row.try_get::<Vec<u8>, _>("content")?.try_into().map_err(|_| bad("content"))
}

/// The database's clock, which all workers share.
///
/// # Errors
/// Of the database.
pub async fn now(conn: &mut PgConnection) -> sqlx::Result<Timestamp> {
    let row = sqlx::query("select clock_timestamp() as now").fetch_one(conn).await?;
    time(&row, "now")?.ok_or_else(|| bad("now"))
}

/// The parts of a command, in order.
///
/// # Errors
/// Of the database.
pub async fn parts(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Vec<PartRow>> {
    sqlx::query("select * from worker.parts where identity = $1 order by n")
        .bind(identity)
        .fetch_all(conn)
        .await?
        .iter()
        .map(PartRow::from_row)
        .collect()
}

/// Locks a command, whatever its state. Everything that changes parts or echoes' claims does this first.
///
/// # Errors
/// Of the database.
pub async fn lock(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Option<CommandRow>> {
    find(conn, identity, "for update").await
}

/// The same; nothing where somebody else has it locked.
///
/// # Errors
/// Of the database.
pub async fn try_lock(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Option<CommandRow>> {
    find(conn, identity, "for update skip locked").await
}

/// A command, if it is as `rest` wants it: the rest of the statement, further conditions and the lock.
///
/// # Errors
/// Of the database.
pub(super) async fn find(
    conn: &mut PgConnection,
    identity: &str,
    rest: &'static str,
) -> sqlx::Result<Option<CommandRow>> {
    let sql =
        format!("select {COMMAND_COLUMNS} from worker.commands c where c.identity = $1 {rest}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(identity).fetch_optional(conn).await?;
    row.as_ref().map(CommandRow::from_row).transpose()
}

/// When an open command is looked at again, and why it waits.
///
/// # Errors
/// Of the database.
pub async fn wait(
    conn: &mut PgConnection,
    identity: &str,
    until: Timestamp,
    held: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set due_at = $2, held = $3 where identity = $1 and state = 'open'",
    )
    .bind(identity)
    .bind(until.to_datetime())
    .bind(held)
    .execute(conn)
    .await?;
    Ok(())
}

/// How a part came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettledBy {
    /// Meta's answer to the request.
    Answer,
    /// Its echo.
    Echo,
    /// Reading back.
    Read,
    /// A person.
    Person,
}

impl SettledBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Echo => "echo",
            Self::Read => "read",
            Self::Person => "person",
        }
    }
}

/// The part is sent; precedence sent > failed > unknown, so this holds from every state but `skipped` and `planned`. Claims the echo,
/// if it is there. `false`: it was sent already.
///
/// # Errors
/// Of the database.
pub async fn mark_sent(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: Option<&str>,
    at: Timestamp,
    by: SettledBy,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.parts
            set state = 'sent', message_id = $3, sent_at = $4, settled_by = $5, error = null, lost = false
          where identity = $1 and n = $2 and state in ('sending', 'refused', 'failed', 'unknown')",
    )
    .bind(&command.identity)
    .bind(n)
    .bind(item_id)
    .bind(at.to_datetime())
    .bind(by.as_str())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if let (1, Some(item_id)) = (done, item_id) {
        claim(conn, command, item_id, &super::plan::key(&command.identity, n)).await?;
    }
    Ok(done == 1)
}

/// A part that is sent, but nobody knew as which message, is this one. `false`: it has a message, or is not sent. What a person said
/// about the time gives way to what Meta says.
///
/// # Errors
/// Of the database.
pub async fn name_sent(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: &str,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.parts
            set message_id = $3, sent_at = case when settled_by = 'person' then $4 else sent_at end
          where identity = $1 and n = $2 and state = 'sent' and message_id is null",
    )
    .bind(&command.identity)
    .bind(n)
    .bind(item_id)
    .bind(at.to_datetime())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if done == 1 {
        claim(conn, command, item_id, &super::plan::key(&command.identity, n)).await?;
    }
    Ok(done == 1)
}

/// Claims an echo for a part. `false`: there is no such echo, or another part has it.
///
/// # Errors
/// Of the database.
pub async fn claim(
    conn: &mut PgConnection,
    command: &CommandRow,
    item_id: &str,
    key: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.echoes set claimed_by = $4, examined = true
          where channel = $1 and account_id = $2 and item_id = $3 and (claimed_by is null or claimed_by = $4)",
    )
    .bind(command.channel.as_str())
    .bind(command.account_id.as_str())
    .bind(item_id)
    .bind(key)
    .execute(conn)
    .await?
    .rows_affected();
    Ok(done == 1)
}

/// The part failed.
///
/// # Errors
/// Of the database.
pub async fn mark_failed(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    error: &OutcomeError,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'failed', error = $3, lost = false
          where identity = $1 and n = $2 and state in ('planned', 'refused', 'sending', 'unknown')",
    )
    .bind(identity)
    .bind(n)
    .bind(serde_json::to_value(error).unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(())
}

/// Nobody can tell about the part.
///
/// # Errors
/// Of the database.
pub async fn mark_unknown(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    error: &OutcomeError,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'unknown', uncertain = true, error = $3
          where identity = $1 and n = $2 and state in ('sending', 'refused')",
    )
    .bind(identity)
    .bind(n)
    .bind(serde_json::to_value(error).unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(())
}

/// The state of a command that follows from its parts; `None` while some are open.
pub fn summary(states: &[State]) -> Option<&'static str> {
    let any = |wanted: State| states.contains(&wanted);
    if any(State::Unknown) {
        return Some("unknown");
    }
    if any(State::Failed) {
        return Some(if any(State::Sent) { "partial" } else { "failed" });
    }
    if any(State::Skipped) {
        return Some(if any(State::Sent) { "partial" } else { "failed" });
    }
    states.iter().all(|state| *state == State::Sent).then_some("sent")
}

/// Brings a command to the state its parts tell: skips what comes after a part that failed or is unknown, and leaves its outcome to be
/// published. The command must be locked. `true`: it has ended.
///
/// # Errors
/// Of the database.
pub async fn conclude(
    conn: &mut PgConnection,
    command: &CommandRow,
    rule: Option<&str>,
) -> sqlx::Result<bool> {
    let parts = parts(conn, &command.identity).await?;
    let ended = parts.iter().any(|part| matches!(part.state, State::Failed | State::Unknown));
    let states: Vec<State> = parts
        .iter()
        .map(|part| if ended && part.state == State::Planned { State::Skipped } else { part.state })
        .collect();
    let Some(state) = summary(&states) else { return Ok(false) };
    if ended {
        sqlx::query(
            "update worker.parts set state = 'skipped' where identity = $1 and state = 'planned'",
        )
        .bind(&command.identity)
        .execute(&mut *conn)
        .await?;
    }
    let error = parts
        .iter()
        .find_map(|part| part.error.clone())
        // An unknown part stops the later ones. Where it turns out to have been sent after all, they stay unsent: whoever was told
        // `unknown` may have acted on it, and the rest of an old text would come as a surprise.
        .or_else(|| (state != "sent").then(stopped))
        .and_then(|error| serde_json::to_value(error).ok());
    let ids: Vec<&str> = parts.iter().filter_map(|part| part.message_id.as_deref()).collect();
    let result = match command.command.as_str() {
        "reply" => None,
        _ => ids.first().map(|id| serde_json::json!({ "id": id })),
    };
    finish(conn, &command.identity, state, rule, error, result).await?;
    Ok(true)
}

fn stopped() -> OutcomeError {
    super::outcome::own_error(
        "stopped",
        "unknown",
        "a part was unknown for too long, so the later parts were not sent: send the rest as a new reply",
    )
}

/// Ends a command (again): its outcome is to be published, and whoever waits behind it is woken.
///
/// # Errors
/// Of the database.
pub async fn finish(
    conn: &mut PgConnection,
    identity: &str,
    state: &str,
    rule: Option<&str>,
    error: Option<Value>,
    result: Option<Value>,
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
    .bind(state)
    .bind(rule)
    .bind(error)
    .bind(result)
    .execute(&mut *conn)
    .await?;
    conversation_state::wake(conn).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_command_follows_from_its_parts() {
        use State::*;
        let check =
            |states: &[State], expected| assert_eq!(summary(states), expected, "{states:?}");
        check(&[Sent, Sent], Some("sent"));
        check(&[Sent, Planned], None);
        check(&[Sending], None);
        check(&[Refused], None);
        check(&[Failed, Skipped], Some("failed"));
        check(&[Sent, Failed, Skipped], Some("partial"));
        check(&[Sent, Unknown, Skipped], Some("unknown"));
        check(&[Sent, Skipped], Some("partial"));
        check(&[Unknown], Some("unknown"));
    }
}
