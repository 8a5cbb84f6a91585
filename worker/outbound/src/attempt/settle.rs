//! Writes down what came of an attempt.

use std::time::Duration;

use runtime::db::within;
use runtime::failpoint;
use schemas::Timestamp;
use schemas::facts::OutcomeError;
use sqlx::PgConnection;

use super::claim::Attempt;
use crate::answer::{Learnt, Reading};
use crate::decide::{self, AfterAnswer};
use crate::ledger::{self, CommandRow, commands, part_states, stops, transitions};
use crate::services::{LEDGER_WITHIN, Next, Services};
use crate::state::SettledBy;
use facts::follow_up::conversations;

/// Tries to write an answer down; without it the send has to be reconciled.
const TRIES_MAX: u32 = 8;

/// Writes down what came of an attempt. Only the attempt that is still the current one may; a late answer that names a message is
/// nevertheless proof that it was sent.
///
/// # Errors
/// The database failed several times: the attempt is reconciled later.
pub(super) async fn settle(
    services: &Services,
    attempt: &Attempt,
    reading: Reading,
) -> anyhow::Result<Next> {
    let mut pause = runtime::retry::Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        match within(LEDGER_WITHIN, try_settle(services, attempt, &reading)).await {
            Ok(next) => return Ok(next),
            Err(error) if pause.attempts() < TRIES_MAX => {
                tracing::debug!(%error, "Could not write down an answer; trying again");
                tokio::time::sleep(pause.next(rand::random())).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn try_settle(
    services: &Services,
    attempt: &Attempt,
    reading: &Reading,
) -> sqlx::Result<Next> {
    let (identity, part) = (attempt.command.identity.as_str(), &attempt.part);
    let mut tx = services.pool.begin().await?;
    let Some(command) = commands::lock(&mut tx, identity).await? else { return Ok(Next::Idle) };
    let now = ledger::now(&mut tx).await?;
    let is_current = part_states::keep_answer(
        &mut tx,
        identity,
        part.n,
        part.attempt,
        &services.worker,
        &reading.kept,
    )
    .await?;
    // A success may say that it was the last one for a while.
    let account = &attempt.connected.account;
    let closed = services.graph.closed_for(account).is_some();
    if reading.limited || closed {
        pause_account(&mut tx, services, attempt, now).await?;
    }
    let after = decide::after_answer(
        &part.journal(command.created_at),
        reading.answer.clone(),
        &services.retry_waits(),
        rand::random(),
        now,
    );
    let has_ended = match after {
        // Holds for a late answer too: what Meta names was sent.
        AfterAnswer::Sent { item_id } => {
            mark_sent(&mut tx, &command, part.n, item_id.as_deref(), now).await?
        }
        _ if !is_current => false,
        AfterAnswer::Refused { not_before } => {
            let error = reading.error.as_ref();
            transitions::refuse(&mut tx, &command, part.n, not_before, error).await?;
            false
        }
        AfterAnswer::Lost => {
            let after = services.waits.reconcile_after;
            transitions::lose(&mut tx, &command, part, after).await?;
            false
        }
        AfterAnswer::Unknown => {
            mark_unknown(&mut tx, &command, part.n, reading).await?;
            true
        }
        AfterAnswer::Failed => {
            mark_failed(&mut tx, &command, part.n, reading).await?;
            true
        }
    };
    let next = if !has_ended {
        Next::Idle
    } else if transitions::conclude_or_go_on(&mut tx, &command, now).await? {
        Next::Ended
    } else {
        Next::Again
    };
    failpoint!("send.before_settle_commit");
    tx.commit().await?;
    failpoint!("send.after_settle_commit");
    Ok(next)
}

/// `true`: the part changed.
async fn mark_sent(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let sent = transitions::mark_sent(conn, command, n, item_id, now, SettledBy::Answer).await?;
    match item_id {
        Some(item_id) if !sent => transitions::reported_again(conn, command, n, item_id, now).await,
        _ => Ok(sent),
    }
}

async fn mark_failed(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    reading: &Reading,
) -> sqlx::Result<()> {
    let error = reading
        .error
        .clone()
        .unwrap_or_else(|| OutcomeError::own("no_answer", "unknown", "Meta did not answer"));
    part_states::set_failed(conn, &command.identity, n, &error).await?;
    let Some(conversation) = &command.conversation_id else { return Ok(()) };
    match reading.learnt {
        Some(Learnt::Unreachable) => conversations::set_unreachable(conn, conversation).await,
        Some(Learnt::OtherOwns) => conversations::set_other_owns(conn, conversation).await,
        None => Ok(()),
    }
}

/// Meta took it in part: a person has to look.
async fn mark_unknown(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    reading: &Reading,
) -> sqlx::Result<()> {
    let error = reading.error.clone().unwrap_or_else(|| {
        OutcomeError::own("outcome_unknown", "unknown", "Meta's answer does not say what it took")
    });
    part_states::set_unknown(conn, &command.identity, n, &error).await?;
    metrics::counter!("hookline_conversions_in_part_total").increment(1);
    tracing::error!(
        command.id = %command.command_id, account.id = %command.account_id,
        "Meta answered command `{}` in part; it is parked for a person", command.command_id
    );
    Ok(())
}

/// A limit that was met holds for the other workers too. `now` is the database's: by its clock they see the pause end.
async fn pause_account(
    conn: &mut PgConnection,
    services: &Services,
    attempt: &Attempt,
    now: Timestamp,
) -> sqlx::Result<()> {
    let account = &attempt.connected.account;
    let closed = services.graph.closed_for(account).unwrap_or(services.waits.retry_min);
    let scope = format!("account:{}/{}", account.channel, account.id);
    stops::pause(conn, &scope, now.plus(closed)).await?;
    if let Some((app, closed)) = services.graph.app_closed_for(account) {
        stops::pause(conn, &format!("app:{app}"), now.plus(closed)).await?;
    }
    Ok(())
}
