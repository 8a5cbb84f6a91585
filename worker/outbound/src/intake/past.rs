//! What became of commands before this ledger knew them. A ledger that was lost, or a position that was set back, must not send again:
//! a command that has an outcome takes that over, and one that was accepted once without a trace of its end is `unknown`.
//!
//! Outcomes are found in `worker.facts`; where that was lost too, in INBOX_EVENTS, which is read through once.

use std::collections::HashMap;

use anyhow::Context;
use runtime::broker::Broker;
use runtime::follow::stored;
use runtime::streams;
use schemas::command::UncheckedCommand;
use schemas::subjects::{INBOX_COMMANDS, INBOX_EVENTS};
use schemas::{Event, EventId, Timestamp};
use sqlx::{PgConnection, PgPool};

use crate::ended::{Ended, ended, outcome_ids};
use crate::ledger::mark::{self, Mark};
use crate::scan;
use crate::state::CommandState;

/// Outcomes stored by one statement.
const OUTCOMES_BATCH: usize = 10_000;

/// What is known of a command from before.
#[derive(Clone, Debug)]
pub(super) enum Past {
    /// It was never here.
    New,
    /// It came to this end.
    Ended(Box<Ended>),
    /// It was accepted, and nothing shows what came of it.
    Lost,
}

/// The mark; at the very first start it is made.
///
/// # Errors
/// Broker or database did not answer: call again.
pub(super) async fn mark(pool: &PgPool, broker: &Broker) -> anyhow::Result<Mark> {
    if let Some(mark) = mark::read(pool).await? {
        return Ok(mark);
    }
    let commands =
        broker.js().get_stream(INBOX_COMMANDS).await.context("reading INBOX_COMMANDS")?;
    let info = commands.cached_info();
    let era = streams::era_of(info);
    let found = scan::find_outcomes(broker, None).await?;
    // Outcomes that nobody here has published: an earlier ledger is lost. Without any, this is a beginning, and commands wait for it.
    let last = Timestamp::from_nanos(info.state.last_timestamp.unix_timestamp_nanos());
    let (seq, at) =
        if found.is_empty() { (0, None) } else { (info.state.last_sequence, Some(last)) };
    if !found.is_empty() {
        tracing::warn!(
            outcomes = found.len(),
            upto = seq,
            "The ledger is new and the streams are not: commands that are there already are not carried out again; \
             those without an outcome are parked (`hookline replies list`)"
        );
    }
    let made = Mark { seq, era: Some(era), at };
    let mut tx = pool.begin().await?;
    for outcomes in found.chunks(OUTCOMES_BATCH) {
        mark::keep_found(&mut tx, outcomes).await?;
    }
    mark::create(&mut tx, made).await?;
    tx.commit().await?;
    Ok(made)
}

/// Where outcomes of these commands are in INBOX_EVENTS, by event id.
///
/// # Errors
/// `sqlx::Error`; nothing was changed, call again.
pub(super) async fn known(
    conn: &mut PgConnection,
    commands: &[&UncheckedCommand],
) -> sqlx::Result<HashMap<String, u64>> {
    if commands.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<String> = commands
        .iter()
        .flat_map(|command| ids_of(command))
        .map(|(id, _)| id.into_string())
        .collect();
    let outcomes = mark::outcomes(conn, &ids).await?;
    Ok(outcomes.into_iter().map(|outcome| (outcome.event_id, outcome.event_seq)).collect())
}

/// What is known of a command: `covered` when it was accepted before.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn of(
    broker: &Broker,
    command: &UncheckedCommand,
    known: &HashMap<String, u64>,
    covered: bool,
) -> anyhow::Result<Past> {
    let ids = ids_of(command);
    let found = ids.iter().find_map(|(id, state)| Some((known.get(id.as_str()).copied()?, *state)));
    let Some((seq, state)) = found else {
        return Ok(if covered { Past::Lost } else { Past::New });
    };
    let message = stored::at(broker.js(), INBOX_EVENTS, seq).await?;
    let event = message.and_then(|message| serde_json::from_slice::<Event>(&message.payload).ok());
    let reported = event
        .filter(|event| ids.iter().any(|(id, _)| *id == event.id))
        .and_then(|event| ended(&event));
    // Erased meanwhile, or written by a newer release: its kind is known all the same.
    let end = reported.unwrap_or_else(|| Ended::bare(state, command.requested_at));
    Ok(Past::Ended(Box::new(end)))
}

/// The ids that the outcome of a command may have.
pub(super) fn ids(command: &UncheckedCommand) -> [EventId; 3] {
    ids_of(command).map(|(id, _)| id)
}

fn ids_of(command: &UncheckedCommand) -> [(EventId, CommandState); 3] {
    outcome_ids(command.channel, &command.account_id, &command.name, command.id.as_str())
}
