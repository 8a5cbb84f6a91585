//! Changes of a part together with its command or its echo. The command must be locked.

use std::time::Duration;

use schemas::Timestamp;
use schemas::facts::OutcomeError;
use sqlx::PgConnection;

use super::commands::{self, CommandRow, End};
use super::parts::{self, PartRow};
use super::{echoes, part_states, submitted};
use crate::decide::LoggedAttempt;
use crate::payload::part_key;
use crate::state::{CommandState, PartState, SettledBy};

/// Writes down that an attempt begins; from then on the part may have reached Meta. Returns the part as it stands then.
pub(crate) async fn begin_attempt(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: PartRow,
    worker: &str,
    now: Timestamp,
    deadline: Timestamp,
    rule: &str,
) -> sqlx::Result<PartRow> {
    part_states::begin(conn, &command.identity, part.n, worker, now, deadline).await?;
    commands::claim_until(conn, &command.identity, deadline, rule).await?;
    Ok(begun(part, now, deadline))
}

/// A part whose attempt begins, as it stands then.
pub(crate) fn begun(part: PartRow, now: Timestamp, deadline: Timestamp) -> PartRow {
    let (attempt, started_at) = (part.attempt + 1, Some(now));
    PartRow {
        state: PartState::Sending,
        attempt,
        started_at,
        first_at: part.first_at.or(started_at),
        deadline: Some(deadline),
        lost: false,
        looks: 0,
        absent_at: None,
        ..part
    }
}

/// Not executed: again later.
pub(crate) async fn refuse(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    not_before: Timestamp,
    error: Option<&OutcomeError>,
) -> sqlx::Result<()> {
    part_states::set_refused(conn, &command.identity, n, not_before, error).await?;
    commands::wait(conn, &command.identity, not_before, None).await
}

/// Nobody knows: it stays `sending`. An echo that has come already is compared at once, the thread is read `after` the deadline.
pub(crate) async fn lose(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    after: Duration,
) -> sqlx::Result<()> {
    part_states::set_lost(conn, &command.identity, part.n).await?;
    echoes::reopen(conn, command, &part.peer).await?;
    let deadline = part.deadline.unwrap_or(Timestamp::EPOCH);
    commands::wait(conn, &command.identity, deadline.plus(after), None).await
}

/// The log has attempts of the part that its row does not know: it stays `sending` until it is known whether they took effect. Their
/// echoes are compared at once, the thread is read `after` the deadline.
pub(crate) async fn recall(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    logged: LoggedAttempt,
    after: Duration,
) -> sqlx::Result<()> {
    part_states::recall(conn, &command.identity, part.n, logged).await?;
    echoes::reopen(conn, command, &part.peer).await?;
    commands::wait(conn, &command.identity, logged.deadline.plus(after), None).await
}

/// The part is sent; precedence sent > failed > unknown, so this holds from every state. Claims the echo,
/// if it is there. `false`: it was sent already.
pub(crate) async fn mark_sent(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: Option<&str>,
    at: Timestamp,
    by: SettledBy,
) -> sqlx::Result<bool> {
    let done = part_states::set_sent(conn, &command.identity, n, item_id, at, by).await?;
    if let (true, Some(item_id)) = (done, item_id) {
        echoes::claim(conn, command, item_id, &part_key(&command.identity, n)).await?;
    }
    Ok(done)
}

/// A part that is sent is reported as `item_id`: mostly the same message. One whose message nobody knew (a person said that it was sent)
/// gets it now; then it is `true`, and its outcome is to be published again. Two messages for one part mean that the residual risk has
/// happened; nothing can take it back, but somebody must know.
pub(crate) async fn reported_again(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: &str,
    at: Timestamp,
) -> sqlx::Result<bool> {
    if part_states::set_message(conn, &command.identity, n, item_id, at).await? {
        echoes::claim(conn, command, item_id, &part_key(&command.identity, n)).await?;
        return Ok(true);
    }
    if part_states::has_other_message(conn, &command.identity, n, item_id).await? {
        metrics::counter!("hookline_send_doubles_total").increment(1);
        tracing::error!(
            command.id = %command.command_id, account.id = %command.account_id,
            "Meta delivered command `{}` twice", command.command_id
        );
    }
    Ok(false)
}

/// Brings a command to the state that follows from its parts: skips what comes after a part that failed or is unknown, and leaves its
/// outcome to be published. `true`: it has ended.
pub(crate) async fn conclude(
    conn: &mut PgConnection,
    command: &CommandRow,
    rule: Option<&str>,
) -> sqlx::Result<bool> {
    let parts = parts::of(conn, &command.identity).await?;
    let stops =
        parts.iter().any(|part| matches!(part.state, PartState::Failed | PartState::Unknown));
    let states: Vec<PartState> = parts
        .iter()
        .map(|part| match part.state {
            PartState::Planned if stops => PartState::Skipped,
            state => state,
        })
        .collect();
    let Some(state) = CommandState::of_parts(&states) else { return Ok(false) };
    if stops {
        part_states::skip_planned(conn, &command.identity).await?;
    }
    // An unknown part stops the later ones. Where it turns out to have been sent after all, they stay unsent: whoever read `unknown` may
    // have acted on it, and the rest of an old text would come as a surprise.
    let error = parts
        .iter()
        .find_map(|part| part.error.clone())
        .or_else(|| (state != CommandState::Sent).then(stopped));
    let id = parts.iter().find_map(|part| part.message_id.as_deref());
    let result = match command.command.as_str() {
        "reply" => None,
        _ => answered(&parts).or_else(|| id.map(|id| serde_json::json!({ "id": id }))),
    };
    submitted::concluded(conn, command, &parts, state).await?;
    commands::finish(conn, &command.identity, End { state, rule, error, result }).await?;
    Ok(true)
}

/// Ends a command if its parts say so; otherwise its next part is due at once. `true`: it has ended.
pub(crate) async fn conclude_or_go_on(
    conn: &mut PgConnection,
    command: &CommandRow,
    now: Timestamp,
) -> sqlx::Result<bool> {
    if conclude(conn, command, None).await? {
        return Ok(true);
    }
    commands::wait(conn, &command.identity, now, None).await?;
    Ok(false)
}

/// What Meta's answer said beyond an id.
fn answered(parts: &[PartRow]) -> Option<serde_json::Value> {
    parts.iter().find_map(|part| part.answer.as_ref()?.get("result").cloned())
}

fn stopped() -> OutcomeError {
    OutcomeError::own(
        "stopped",
        "unknown",
        "a part was unknown for too long, so the later parts were not sent: send the rest as a new reply",
    )
}
