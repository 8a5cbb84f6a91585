//! Writes commands that are new and can be carried out together; whatever is anything else is left to [`mod@super::store`].

use std::collections::{HashMap, HashSet};

use schemas::EventId;
use schemas::facts::OutcomeError;
use sqlx::PgConnection;

use super::past;
use super::read::Intake;
use crate::ledger::insert::{self, Added, NewCommand};
use crate::ledger::parts::PlannedPart;
use crate::ledger::queue::DueRow;
use crate::plan::CommandPlan;
use crate::state::CommandState;

/// A command that is new, as far as the mark shows.
pub(super) struct Plain<'a> {
    intake: &'a Intake,
    plan: &'a CommandPlan,
    traceparent: Option<&'a str>,
    identity: String,
    digest: [u8; 32],
}

/// Reads a command as one that may be written together with others; `None`: it never will be carried out.
pub(super) fn plain<'a>(intake: &'a Intake, traceparent: Option<&'a str>) -> Option<Plain<'a>> {
    let plan: &Result<CommandPlan, OutcomeError> = &intake.plan;
    let plan = plan.as_ref().ok().filter(|_| !intake.malformed)?;
    let (identity, digest) = (intake.command.identity(), intake.digest);
    Some(Plain { intake, plan, traceparent, identity, digest })
}

/// Leaves out those whose id another command of the batch `all` has too.
pub(super) fn keep_single<'a>(plain: &mut Vec<Plain<'_>>, all: impl Iterator<Item = &'a Intake>) {
    let mut counts: HashMap<String, u32> = HashMap::new();
    for intake in all {
        *counts.entry(intake.command.identity()).or_default() += 1;
    }
    plain.retain(|one| counts.get(&one.identity) == Some(&1));
}

/// Writes rows and parts. Returns those that were written: of the others one with their id is there, or their outcome is known.
///
/// # Errors
/// `sqlx::Error`: roll the transaction back and accept the batch again.
pub(super) async fn store_all(
    conn: &mut PgConnection,
    plain: &[Plain<'_>],
) -> sqlx::Result<Vec<Added>> {
    if plain.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<NewCommand<'_>> = plain
        .iter()
        .map(|one| NewCommand {
            identity: &one.identity,
            command: &one.intake.command,
            lane: &one.plan.lane,
            body_digest: &one.digest,
            traceparent: one.traceparent,
            stream_seq: one.intake.stream_seq,
            stream_era: one.intake.stream_era,
            state: CommandState::Open,
            error: None,
            rule: None,
            result: None,
            reported_at: None,
        })
        .collect();
    let parts: Vec<PlannedPart<'_>> = plain
        .iter()
        .flat_map(|one| {
            one.plan.parts.iter().enumerate().map(|(n, part)| PlannedPart {
                identity: &one.identity,
                n: i32::try_from(n).unwrap_or(i32::MAX),
                lane: &one.plan.lane,
                payload: &part.payload,
                content: &part.content,
                peer: &part.peer,
            })
        })
        .collect();
    let outcomes: Vec<[EventId; 3]> =
        plain.iter().map(|one| past::ids(&one.intake.command)).collect();
    insert::commands(conn, &rows, &outcomes, &parts).await
}

/// Those of the added commands that are first in their lanes and have something to send. `plain` in the order of the stream.
pub(super) fn first_in_lanes(plain: &[Plain<'_>], added: &[Added]) -> Vec<DueRow> {
    let first: HashSet<u64> =
        added.iter().filter(|added| added.is_first).map(|added| added.stream_seq).collect();
    let mut lanes = HashSet::new();
    plain
        .iter()
        .filter(|one| first.contains(&one.intake.stream_seq) && lanes.insert(&one.plan.lane))
        .filter(|one| !one.plan.parts.is_empty())
        .map(|one| DueRow {
            identity: one.identity.clone(),
            channel: one.intake.command.channel.as_str().to_owned(),
            account_id: one.intake.command.account_id.clone(),
            reading: false,
        })
        .collect()
}
