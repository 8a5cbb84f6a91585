//! `reply_cancel`, `reply_resolve`: commands about another command of the account. They change the ledger only and ask Meta for nothing.
//!
//! What they change and their own end are one transaction: a claim that lapses is carried out again, and finds nothing done.

use schemas::command::{Action, Requester, ResolveData};
use schemas::facts::OutcomeError;
use schemas::ids::command_identity;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::admin::{Finding, Resolution, ResolveError, Whose, resolve_within};
use crate::attempt_log::shard_of;
use crate::ledger::commands::{self, End};
use crate::ledger::{CommandRow, part_states, parts, transitions};
use crate::services::{Next, Services};
use crate::state::{CommandState, PartState};

/// What came of one: its result, or why it had no effect.
type Came = Result<Value, OutcomeError>;

/// Carries one out. The command is claimed.
///
/// # Errors
/// [`crate::attempt_log::Behind`]; or the database or the broker failed. Nothing was changed, and it is carried out again.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    action: &Action,
) -> anyhow::Result<Next> {
    let mut tx = services.pool.begin().await?;
    let (reply_id, came) = match action {
        Action::ReplyCancel(data) => {
            (&data.reply_id, cancel(services, &mut tx, command, &data.reply_id).await?)
        }
        Action::ReplyResolve(data) => (&data.reply_id, resolve(&mut tx, command, data).await?),
        _ => return Ok(Next::Idle),
    };
    // After the other one: nobody locks two in another order.
    match commands::lock(&mut tx, &command.identity).await? {
        Some(own) if own.state == CommandState::Open => {}
        _ => return Ok(Next::Idle),
    }
    let done = came.is_ok();
    let end = match came {
        Ok(result) => {
            End { state: CommandState::Sent, rule: None, error: None, result: Some(result) }
        }
        Err(error) => {
            End { state: CommandState::Failed, rule: None, error: Some(error), result: None }
        }
    };
    commands::finish(&mut tx, &command.identity, end).await?;
    tx.commit().await?;
    if done {
        services.reporter.report(identity_of(command, reply_id));
    }
    Ok(Next::Ended)
}

fn identity_of(command: &CommandRow, reply_id: &str) -> String {
    command_identity(command.channel, &command.account_id, &reply_id.to_owned().into())
}

/// Ends a reply that is open and of which nothing is under way. What was sent of it stays sent.
async fn cancel(
    services: &Services,
    tx: &mut PgConnection,
    command: &CommandRow,
    reply_id: &str,
) -> anyhow::Result<Came> {
    let reply = commands::lock(tx, &identity_of(command, reply_id)).await?;
    let Some(reply) = reply.filter(|reply| reply.command == "reply") else {
        return Ok(Err(not_found(reply_id)));
    };
    let parts = parts::of(tx, &reply.identity).await?;
    let open = parts.iter().find(|part| !part.state.is_final());
    let Some(open) = open.filter(|_| reply.state == CommandState::Open) else {
        let detail = format!("the reply has ended: it is `{}`", reply.state.as_str());
        return Ok(Err(OutcomeError::own("already_ended", "invalid", detail)));
    };
    if open.state == PartState::Sending {
        let detail = "the reply is under way: Meta may have it already";
        return Ok(Err(OutcomeError::own("under_way", "invalid", detail.to_owned())));
    }
    // A ledger that is behind the log could cancel what was sent.
    let attempt = part_states::attempts(tx, &reply.identity, open.n).await?;
    let shard = shard_of(reply.channel, &reply.account_id);
    services.log.verify(tx, shard, (&reply.identity, open.n, attempt + 1)).await?;
    let error = OutcomeError::own("cancelled", "policy", "cancelled before it was sent".to_owned());
    part_states::set_failed(tx, &reply.identity, open.n, &error).await?;
    transitions::conclude(tx, &reply, None).await?;
    let state = if parts.iter().any(|part| part.state == PartState::Sent) {
        CommandState::Partial
    } else {
        CommandState::Failed
    };
    Ok(Ok(json!({"reply_id": reply_id, "state": state.as_str()})))
}

/// Settles a parked reply as a person found it.
async fn resolve(
    tx: &mut PgConnection,
    command: &CommandRow,
    data: &ResolveData,
) -> anyhow::Result<Came> {
    if command.requester != Requester::Person {
        let detail = "only a person can find out what became of it: ask through the api with a token of kind `person`";
        return Ok(Err(OutcomeError::own("person_only", "policy", detail.to_owned())));
    }
    let whose = Whose { channel: Some(command.channel), account: command.account_id.clone() };
    let resolution = Resolution {
        command_id: &data.reply_id,
        whose: Some(&whose),
        finding: if data.found == "sent" { Finding::Sent } else { Finding::NotSent },
        message_id: data.message_id.as_deref(),
        by: &command.requester_name,
        dry_run: false,
    };
    Ok(match resolve_within(tx, &resolution).await {
        Ok(done) => Ok(json!({
            "reply_id": data.reply_id, "state": done.state, "parts_not_sent": done.skipped,
        })),
        Err(ResolveError::Database(error)) => return Err(error.into()),
        Err(ResolveError::NotFound(_) | ResolveError::Ambiguous(_)) => {
            Err(not_found(&data.reply_id))
        }
        Err(error @ ResolveError::NotParked { .. }) => {
            Err(OutcomeError::own("not_parked", "invalid", error.to_string()))
        }
        Err(error @ ResolveError::Taken { .. }) => {
            Err(OutcomeError::own("message_taken", "invalid", error.to_string()))
        }
    })
}

fn not_found(reply_id: &str) -> OutcomeError {
    let detail = format!("the account has no reply `{reply_id}`");
    OutcomeError::own("not_found", "invalid", detail)
}
