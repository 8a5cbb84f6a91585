//! What became of commands whose end this ledger does not know: INBOX_EVENTS has their outcomes.

use runtime::follow::stored;
use schemas::subjects::INBOX_EVENTS;
use schemas::{Event, Timestamp};
use sqlx::PgConnection;

use super::AttemptLog;
use crate::ended::{Ended, EndedPart, ended, outcome_ids};
use crate::ledger::command_sets::{self, OpenRow};
use crate::ledger::{CommandRow, PartRow, commands, mark, part_states, parts, transitions};
use crate::scan;
use crate::state::{CommandState, PartState, SettledBy};

/// Outcomes stored by one statement.
const OUTCOMES_BATCH: usize = 10_000;
/// Commands compared by one statement.
const COMMANDS_BATCH: i64 = 500;

impl AttemptLog {
    /// Looks for outcomes stored from `from` on, keeps where they are, and ends the commands they are of.
    ///
    /// # Errors
    /// Broker or database failed: call again.
    pub(super) async fn seek_outcomes(&self, from: Option<Timestamp>) -> anyhow::Result<()> {
        let found = scan::find_outcomes(&self.broker, from).await?;
        for outcomes in found.chunks(OUTCOMES_BATCH) {
            mark::keep_found(&mut *self.pool.acquire().await?, outcomes).await?;
        }
        self.settle_reported().await
    }

    /// Ends every command that is open or unknown although its outcome is known to be in INBOX_EVENTS.
    ///
    /// # Errors
    /// As [`AttemptLog::seek_outcomes`].
    pub(super) async fn settle_reported(&self) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let mut conn = self.pool.acquire().await?;
            let rows = command_sets::not_settled(&mut conn, &after, COMMANDS_BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.identity);
            let ids: Vec<String> = rows.iter().flat_map(ids_of).collect();
            let placed = mark::outcomes(&mut conn, &ids).await?;
            drop(conn);
            for row in &rows {
                let own = ids_of(row);
                let found = own.iter().find_map(|id| placed.iter().find(|one| one.event_id == *id));
                let Some(found) = found else { continue };
                if let Some(end) = self.reported(found.event_seq, &own).await? {
                    self.settle(&row.identity, &end).await?;
                }
            }
        }
    }

    /// The end that the outcome at a position reports; `None` where it is gone, or is of something else.
    async fn reported(&self, seq: u64, ids: &[String]) -> anyhow::Result<Option<Ended>> {
        let message = stored::at(self.broker.js(), INBOX_EVENTS, seq).await?;
        let event =
            message.and_then(|message| serde_json::from_slice::<Event>(&message.payload).ok());
        let own = event.filter(|event| ids.iter().any(|id| id == event.id.as_str()));
        Ok(own.and_then(|event| ended(&event)))
    }

    async fn settle(&self, identity: &str, end: &Ended) -> anyhow::Result<()> {
        let mut tx = self.pool.begin().await?;
        let Some(command) = commands::lock(&mut tx, identity).await? else { return Ok(()) };
        if !overrules(end.state, command.state) {
            return Ok(());
        }
        for part in parts::of(&mut tx, identity).await? {
            let n = usize::try_from(part.n).unwrap_or(usize::MAX);
            settle_part(&mut tx, &command, &part, &end.part(n)).await?;
        }
        commands::finish_as_reported(&mut tx, identity, end).await?;
        facts::follow_up::conversation_state::wake(&mut tx).await?;
        tx.commit().await?;
        metrics::counter!("hookline_attempt_log_settled_total").increment(1);
        Ok(())
    }
}

/// Sent > failed > unknown (docs/contract.md 6).
const fn overrules(reported: CommandState, known: CommandState) -> bool {
    match known {
        CommandState::Open => true,
        CommandState::Unknown => !matches!(reported, CommandState::Open | CommandState::Unknown),
        CommandState::Sent | CommandState::Failed | CommandState::Partial => false,
    }
}

async fn settle_part(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    end: &EndedPart,
) -> sqlx::Result<()> {
    match (end.state, part.state) {
        (_, PartState::Sent) => Ok(()),
        (PartState::Sent, _) => {
            let at = end.sent_at.unwrap_or(command.requested_at);
            let item = end.message_id.as_deref();
            transitions::mark_sent(conn, command, part.n, item, at, SettledBy::Log).await?;
            Ok(())
        }
        (PartState::Skipped, PartState::Planned) => {
            part_states::end_as_reported(conn, &command.identity, part.n, PartState::Skipped).await
        }
        (PartState::Unknown, PartState::Planned | PartState::Sending | PartState::Refused) => {
            part_states::end_as_reported(conn, &command.identity, part.n, PartState::Unknown).await
        }
        (PartState::Failed | PartState::Skipped, state) if state != PartState::Skipped => {
            part_states::end_as_reported(conn, &command.identity, part.n, PartState::Failed).await
        }
        _ => Ok(()),
    }
}

fn ids_of(row: &OpenRow) -> Vec<String> {
    let ids = outcome_ids(row.channel, &row.account_id, &row.command, row.command_id.as_str());
    ids.into_iter().map(|(id, _)| id.into_string()).collect()
}
