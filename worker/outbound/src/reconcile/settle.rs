//! Writes down what came of a look.

use runtime::failpoint;
use schemas::Timestamp;
use schemas::facts::OutcomeError;
use sqlx::PgConnection;

use crate::decide::{self, AfterLook, Look};
use crate::ledger::echoes::{self, FoundItem};
use crate::ledger::{self, CommandRow, PartRow, commands, part_states, parts, transitions};
use crate::payload::part_key;
use crate::services::{Next, Services};
use crate::state::{PartState, SettledBy};

/// Settles a look that began at `begun_at`. Somebody may have settled the part meanwhile; looks of another attempt prove nothing about
/// this one.
///
/// # Errors
/// The database or a commit failed; the command is looked at again when its claim lapses.
pub(super) async fn settle(
    services: &Services,
    command: &CommandRow,
    part: &PartRow,
    look: Look,
    begun_at: Timestamp,
) -> anyhow::Result<Next> {
    let mut tx = services.pool.begin().await?;
    let Some(command) = commands::lock(&mut tx, &command.identity).await? else {
        return Ok(Next::Idle);
    };
    let parts = parts::of(&mut tx, &command.identity).await?;
    let now = ledger::now(&mut tx).await?;
    let Some(current) = parts.into_iter().find(|one| {
        one.n == part.n
            && one.state == PartState::Sending
            && one.attempt == part.attempt
            && one.looks == part.looks
    }) else {
        return Ok(Next::Again);
    };
    let journal = current.journal(command.created_at);
    let after = decide::after_look(&journal, look, begun_at, &services.retry_waits(), now);
    let next = match after {
        AfterLook::Sent { item_id, time } => {
            let at = time.unwrap_or(now);
            if let Some(id) = &item_id
                && !adopt(&mut tx, &command, &current, id, at).await?
            {
                // Claimed by another part between the look and now: look again.
                commands::wait(&mut tx, &command.identity, now, None).await?;
                tx.commit().await?;
                return Ok(Next::Again);
            }
            sent(&mut tx, &command, part.n, item_id.as_deref(), at, now).await?
        }
        AfterLook::Again { at, absent_at } => {
            part_states::count_look(&mut tx, &command.identity, part.n, absent_at, at).await?;
            commands::wait(&mut tx, &command.identity, at, None).await?;
            Next::Idle
        }
        AfterLook::Repeat => repeat(&mut tx, &command, part.n, now).await?,
        AfterLook::Park => park(&mut tx, &command, part.n).await?,
    };
    failpoint!("look.before_commit");
    tx.commit().await?;
    failpoint!("look.after_commit");
    Ok(next)
}

async fn adopt(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    id: &str,
    time: Timestamp,
) -> sqlx::Result<bool> {
    let kind = part.payload.echo_kind();
    let found = FoundItem { id, kind, peer: &part.peer, content: &part.content, time };
    echoes::adopt(conn, command, found, &part_key(&command.identity, part.n)).await
}

async fn sent(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: Option<&str>,
    at: Timestamp,
    now: Timestamp,
) -> sqlx::Result<Next> {
    transitions::mark_sent(conn, command, n, item_id, at, SettledBy::Read).await?;
    let ended = transitions::conclude_or_go_on(conn, command, now).await?;
    Ok(if ended { Next::Ended } else { Next::Again })
}

async fn repeat(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    now: Timestamp,
) -> sqlx::Result<Next> {
    tracing::info!(command.id = %command.command_id, "Proven absent: command `{}` is attempted again", command.command_id);
    metrics::counter!("hookline_send_repeats_total").increment(1);
    part_states::set_absent(conn, &command.identity, n).await?;
    commands::wait(conn, &command.identity, now, None).await?;
    Ok(Next::Again)
}

async fn park(conn: &mut PgConnection, command: &CommandRow, n: i32) -> sqlx::Result<Next> {
    let error = OutcomeError::own(
        "outcome_unknown",
        "unknown",
        "it is not known whether Meta took it: look there, then `hookline replies resolve`",
    );
    part_states::set_unknown(conn, &command.identity, n, &error).await?;
    transitions::conclude(conn, command, None).await?;
    tracing::warn!(command.id = %command.command_id, "Parked command `{}`: its outcome is unknown", command.command_id);
    metrics::counter!("hookline_send_parked_total").increment(1);
    Ok(Next::Ended)
}
