//! `hookline replies resolve`: settles a parked send as a person found it.

use serde_json::json;
use sqlx::PgPool;
use worker::outbound::admin::{self, Finding, Resolution, ResolveError};

use crate::exit::{Exit, Failure};
use crate::operator;
use crate::output::{Output, say};

pub(crate) async fn resolve(
    pool: &PgPool,
    resolution: Resolution<'_>,
    reason: Option<&str>,
    output: Output,
) -> anyhow::Result<Exit> {
    let resolved = admin::resolve(pool, resolution).await.map_err(failure)?;
    let account = format!("{}/{}", resolved.account.0, resolved.account.1);
    if !resolution.dry_run {
        let found = if resolution.finding == Finding::Sent { "sent" } else { "not-sent" };
        let arguments = json!({
            "id": resolved.command_id, "account": account, "as": found, "message_id": resolution.message_id,
        });
        let result = json!({"state": resolved.state, "parts_not_sent": resolved.skipped});
        operator::record(pool, "replies resolve", arguments, reason, result).await?;
    }
    match output {
        Output::Json => say(json!({
            "id": resolved.command_id, "account": account, "state": resolved.state, "parts_not_sent": resolved.skipped,
            "dry_run": resolution.dry_run,
        })),
        Output::Table => {
            let verb = if resolution.dry_run { "Would settle" } else { "Settled" };
            say(format!("{verb} {} of {account} as {}.", resolved.command_id, resolved.state));
            if resolved.skipped > 0 {
                say(format!(
                    "{} later part(s) were not sent and will not be: send the rest as a new reply.",
                    resolved.skipped
                ));
            }
        }
    }
    Ok(Exit::Done)
}

/// Exit code 2 for an id that names no parked send, 3 for an outcome that is known: it is not settled twice.
fn failure(error: ResolveError) -> anyhow::Error {
    match error {
        ResolveError::Database(error) => error.into(),
        ResolveError::NotFound(_) | ResolveError::Ambiguous(_) => Failure::usage(error.to_string()),
        ResolveError::NotParked { .. } | ResolveError::Taken { .. } => {
            Failure::refused(error.to_string())
        }
    }
}
