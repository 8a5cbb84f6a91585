//! Writes a command into the ledger: its row and its parts.

use schemas::Timestamp;
use schemas::facts::OutcomeError;
use sqlx::PgConnection;

use super::past::Past;
use super::read::Intake;
use crate::decide::Repeat;
use crate::ended::{Ended, EndedPart, refusal_id};
use crate::ledger::echoes;
use crate::ledger::insert::{self, NewCommand};
use crate::ledger::mark;
use crate::ledger::parts::{self, NewPart};
use crate::payload::part_key;
use crate::plan::{CommandPlan, PartPlan};
use crate::state::{CommandState, PartState};

/// What became of a command at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It is no command.
    Malformed,
    /// Its outcome was published before this ledger knew it.
    EndedBefore,
    /// It never will be carried out.
    Refused,
    /// It may have been carried out before this ledger knew it.
    LostBefore,
    /// It is open.
    Planned,
    /// It was here already.
    Repeated,
    /// Another command has its id.
    ReusedId,
}

schemas::words! {
    Accepted, "way to accept a command":
    Malformed = "malformed", EndedBefore = "ended_before", Refused = "refused", LostBefore = "lost_before", Planned = "planned",
    Repeated = "repeated", ReusedId = "reused_id",
}

/// How a row begins.
enum Beginning<'a> {
    /// To be carried out.
    Open,
    /// It never will be.
    Refused(&'a OutcomeError),
    /// The same, and its outcome was published before this ledger knew it, at about this time.
    RefusedBefore(&'a OutcomeError, Timestamp),
    /// It was, before this ledger knew it.
    Ended(&'a Ended),
    /// Perhaps it was.
    Lost(&'a OutcomeError),
}

impl Beginning<'_> {
    const fn state(&self) -> CommandState {
        match self {
            Self::Open => CommandState::Open,
            Self::Refused(_) | Self::RefusedBefore(..) => CommandState::Failed,
            Self::Ended(ended) => ended.state,
            Self::Lost(_) => CommandState::Unknown,
        }
    }

    const fn error(&self) -> Option<&OutcomeError> {
        match self {
            Self::Open => None,
            Self::Refused(error) | Self::RefusedBefore(error, _) | Self::Lost(error) => Some(error),
            Self::Ended(ended) => ended.error.as_ref(),
        }
    }

    /// The end of part `n`; `None` where a refused command has no parts.
    fn part(&self, n: usize) -> Option<EndedPart> {
        let state = match self {
            Self::Refused(_) | Self::RefusedBefore(..) => return None,
            Self::Ended(ended) => return Some(ended.part(n)),
            Self::Open => PartState::Planned,
            Self::Lost(_) => PartState::Unknown,
        };
        Some(EndedPart { state, message_id: None, sent_at: None })
    }
}

/// A row to be written.
struct Row<'a> {
    intake: &'a Intake,
    digest: &'a [u8],
    traceparent: Option<&'a str>,
}

/// Writes the command's row and its parts. A command that is there already changes nothing; another one under its id becomes a
/// row of its own that has failed. `past` is what became of it before this ledger knew it.
///
/// # Errors
/// `sqlx::Error`: roll the transaction back and accept the batch again.
pub(super) async fn store(
    conn: &mut PgConnection,
    intake: &Intake,
    traceparent: Option<&str>,
    past: &Past,
) -> sqlx::Result<Accepted> {
    let identity = intake.command.identity();
    let digest = intake.digest;
    let row = Row { intake, digest: &digest, traceparent };
    let lost = ledger_lost();
    let (beginning, accepted) = match (&intake.plan, past) {
        (Err(error), _) if intake.malformed => {
            row.insert_apart(conn, error).await?;
            return Ok(Accepted::Malformed);
        }
        (_, Past::Ended(ended)) => (Beginning::Ended(ended), Accepted::EndedBefore),
        (Err(error), _) => (Beginning::Refused(error), Accepted::Refused),
        (Ok(plan), Past::Lost) if !plan.parts.is_empty() => {
            let beginning = match plan.parts[0].payload.repeat() {
                Repeat::OneTry => Beginning::Refused(&lost),
                Repeat::AfterProof | Repeat::Never | Repeat::Unseen => Beginning::Lost(&lost),
            };
            (beginning, Accepted::LostBefore)
        }
        (Ok(_), Past::New | Past::Lost) => (Beginning::Open, Accepted::Planned),
    };
    if row.insert(conn, &identity, &beginning).await? {
        return Ok(accepted);
    }
    if insert::body_digest(conn, &identity).await? == digest {
        return Ok(Accepted::Repeated);
    }
    row.insert_apart(conn, &reused_id()).await?;
    Ok(Accepted::ReusedId)
}

impl Row<'_> {
    /// Adds a command that failed beside the one of its identity. Where an earlier ledger has published that, it is not published again.
    async fn insert_apart(
        &self,
        conn: &mut PgConnection,
        error: &OutcomeError,
    ) -> sqlx::Result<bool> {
        let command = &self.intake.command;
        let apart = match self.intake.stream_era {
            0 => self.intake.stream_seq.to_string(),
            era => format!("{era}.{}", self.intake.stream_seq),
        };
        let id = refusal_id(command.channel, &command.account_id, command.id.as_str(), &apart);
        let is_published = !mark::outcomes(conn, &[id.into_string()]).await?.is_empty();
        let beginning = match is_published {
            true => Beginning::RefusedBefore(error, self.intake.stored_at),
            false => Beginning::Refused(error),
        };
        self.insert(conn, &format!("{}#{apart}", command.identity()), &beginning).await
    }

    async fn insert(
        &self,
        conn: &mut PgConnection,
        identity: &str,
        beginning: &Beginning<'_>,
    ) -> sqlx::Result<bool> {
        let intake = self.intake;
        let lane = match (&intake.plan, beginning) {
            (Ok(plan), Beginning::Open | Beginning::Ended(_) | Beginning::Lost(_)) => {
                plan.lane.clone()
            }
            _ => format!("none:{identity}"),
        };
        let ended = match beginning {
            Beginning::Ended(ended) => Some(*ended),
            _ => None,
        };
        let reported_at = match beginning {
            Beginning::RefusedBefore(_, at) => Some(*at),
            _ => ended.map(|ended| ended.at),
        };
        let new = NewCommand {
            identity,
            command: &intake.command,
            lane: &lane,
            body_digest: self.digest,
            traceparent: self.traceparent,
            stream_seq: intake.stream_seq,
            stream_era: intake.stream_era,
            state: beginning.state(),
            error: beginning.error(),
            rule: ended.and_then(|ended| ended.rule.as_deref()),
            result: ended.and_then(|ended| ended.result.as_ref()),
            reported_at,
        };
        let inserted = insert::command(conn, &new).await?;
        if inserted && let Ok(plan) = &intake.plan {
            self.insert_parts(conn, identity, plan, beginning).await?;
        }
        Ok(inserted)
    }

    async fn insert_parts(
        &self,
        conn: &mut PgConnection,
        identity: &str,
        plan: &CommandPlan,
        beginning: &Beginning<'_>,
    ) -> sqlx::Result<()> {
        for (n, part) in plan.parts.iter().enumerate() {
            let Some(end) = beginning.part(n) else { return Ok(()) };
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            self.insert_part(conn, identity, &plan.lane, n, part, end).await?;
        }
        Ok(())
    }

    async fn insert_part(
        &self,
        conn: &mut PgConnection,
        identity: &str,
        lane: &str,
        n: i32,
        part: &PartPlan,
        end: EndedPart,
    ) -> sqlx::Result<()> {
        // Where its end is not known, an echo may still show it: from when it was asked for.
        let uncertain_since: Option<Timestamp> =
            (end.state == PartState::Unknown).then_some(self.intake.stored_at);
        let new = NewPart {
            n,
            lane,
            payload: &part.payload,
            content: &part.content,
            peer: &part.peer,
            state: end.state,
            message_id: end.message_id.as_deref(),
            sent_at: end.sent_at,
            uncertain_since,
        };
        parts::insert(conn, identity, new).await?;
        if uncertain_since.is_none() {
            return Ok(());
        }
        // What Meta reported of this peer may be its effect: it is compared again.
        let command = &self.intake.command;
        let key = part_key(identity, n);
        echoes::reopen_lost(conn, command.channel, &command.account_id, &part.peer, &key).await
    }
}

fn ledger_lost() -> OutcomeError {
    OutcomeError::own(
        "ledger_lost",
        "unknown",
        "the ledger that knew what became of this was lost: look at Meta, then `hookline replies resolve`",
    )
}

fn reused_id() -> OutcomeError {
    OutcomeError::own(
        "reused_id",
        "invalid",
        "`id`: belongs to another command of this account; use a new one",
    )
}
