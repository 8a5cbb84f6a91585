//! `hookline replies`: sends whose outcome nobody can tell. They wait for a person who looks into the conversation.

use clap::{Subcommand, ValueEnum};
use runtime::config::Settings;
use serde_json::json;
use sqlx::PgPool;
use worker::outbound::admin::{self, Finding, Parked, Resolution, ResolveError};

use crate::exit::{Exit, Failure, Output, say, table};
use crate::{reach, who};

/// What to do with parked sends.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists what is parked, oldest first
    #[command(
        after_help = "Examples:\n  hookline replies list\n  hookline replies list --account instagram/17841400000000001 --text --output json"
    )]
    List {
        /// Only of this account, as ID or CHANNEL/ID
        #[arg(long)]
        account: Option<String>,
        /// With what was to be said: a person's words
        #[arg(long)]
        text: bool,
        /// At most so many
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Says what came of a parked send; a later echo from Meta still overrules
    ///
    /// Nothing is sent by this. A reply found not sent ends as failed: send it again as a new one. Parts of a long text that come after the
    /// parked one stay unsent in either case.
    #[command(
        after_help = "Examples:\n  hookline replies resolve rpl_0123… --as sent --message-id aWdf…\n  hookline replies resolve rpl_0123… --as not-sent"
    )]
    Resolve {
        /// The reply (or other command), from `replies list`
        id: String,
        /// What was found at Meta
        #[arg(long = "as", value_enum)]
        found: Found,
        /// Meta's id of the message that was delivered, where known
        #[arg(long, value_name = "MID")]
        message_id: Option<String>,
        /// The account, as ID or CHANNEL/ID, where several have such a reply
        #[arg(long)]
        account: Option<String>,
        /// Why; kept in the record of acts
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Says what it would lead to, changes nothing
        #[arg(long)]
        dry_run: bool,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// What a person found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Found {
    /// The person has it
    Sent,
    /// The person does not have it
    NotSent,
}

/// Carries it out.
///
/// # Errors
/// Exit code 2 for an unknown id, 3 for one whose outcome is known, 4 where Postgres does not answer.
pub async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = reach::postgres(settings).await?;
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    match verb {
        Verb::List { account, text, limit, output } => {
            list(&pool, account.as_deref(), text, limit, output).await
        }
        Verb::Resolve { id, found, message_id, account, reason, dry_run, output } => {
            if found == Found::NotSent && message_id.is_some() {
                return Err(Failure::usage("--message-id: only with `--as sent`"));
            }
            if message_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
                return Err(Failure::usage("--message-id: must not be empty"));
            }
            let whose = account.as_deref().map(who::whose).transpose()?;
            let resolution = Resolution {
                command_id: &id,
                whose: whose.as_ref(),
                finding: match found {
                    Found::Sent => Finding::Sent,
                    Found::NotSent => Finding::NotSent,
                },
                message_id: message_id.as_deref(),
                by: &who::operator(),
                dry_run,
            };
            resolve(&pool, resolution, reason.as_deref(), output).await
        }
    }
}

async fn list(
    pool: &PgPool,
    account: Option<&str>,
    text: bool,
    limit: i64,
    output: Output,
) -> anyhow::Result<Exit> {
    let whose = account.map(who::whose).transpose()?;
    let parked = admin::parked(pool, whose.as_ref(), limit).await?;
    match output {
        Output::Json => {
            let rows: Vec<_> = parked.iter().map(|parked| as_json(parked, text)).collect();
            say(serde_json::to_string(&rows)?);
        }
        Output::Table if parked.is_empty() => say("Nothing is parked."),
        Output::Table => {
            let mut header = vec![
                "id",
                "command",
                "account",
                "contact",
                "attempted",
                "parked",
                "attempts",
                "part",
            ];
            header.extend(text.then_some("text"));
            let rows: Vec<_> = parked.iter().map(|parked| as_row(parked, text)).collect();
            table(&header, &rows);
            if i64::try_from(rows.len()).is_ok_and(|count| count == limit) {
                say(format!("The oldest {limit}; --limit shows more."));
            }
        }
    }
    Ok(Exit::Done)
}

fn as_json(parked: &Parked, text: bool) -> serde_json::Value {
    let mut row = json!({
        "id": parked.command_id, "command": parked.command, "channel": parked.channel, "account_id": parked.account_id,
        "conversation_id": parked.conversation_id, "contact_id": parked.contact_id, "attempted_at": parked.attempted_at,
        "parked_at": parked.parked_at, "attempts": parked.attempts, "part": parked.part.0, "parts": parked.part.1,
    });
    if text {
        row["text"] = json!(parked.text);
    }
    row
}

fn as_row(parked: &Parked, text: bool) -> Vec<String> {
    let time =
        |time: Option<schemas::Timestamp>| time.map_or_else(String::new, |time| time.to_string());
    let mut row = vec![
        parked.command_id.clone(),
        parked.command.clone(),
        format!("{}/{}", parked.channel, parked.account_id),
        parked.contact_id.clone().unwrap_or_else(|| "-".to_owned()),
        time(parked.attempted_at),
        time(parked.parked_at),
        parked.attempts.to_string(),
        format!("{} of {}", parked.part.0, parked.part.1),
    ];
    if text {
        // One line, whatever was written.
        let words = parked.text.as_deref().unwrap_or_default();
        row.push(words.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    row
}

async fn resolve(
    pool: &PgPool,
    resolution: Resolution<'_>,
    reason: Option<&str>,
    output: Output,
) -> anyhow::Result<Exit> {
    let resolved = admin::resolve(pool, resolution).await.map_err(told)?;
    let account = format!("{}/{}", resolved.account.0, resolved.account.1);
    if !resolution.dry_run {
        let found = if resolution.finding == Finding::Sent { "sent" } else { "not-sent" };
        let arguments = json!({
            "id": resolved.command_id, "account": account, "as": found, "message_id": resolution.message_id,
        });
        let result = json!({"state": resolved.state, "parts_not_sent": resolved.skipped});
        who::record(pool, "replies resolve", arguments, reason, result).await?;
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

/// An id that is none is a wrong word; an outcome that is known is not settled again, for safety.
fn told(error: ResolveError) -> anyhow::Error {
    match error {
        ResolveError::Database(error) => error.into(),
        ResolveError::NotFound(_) | ResolveError::Ambiguous(_) => Failure::usage(error.to_string()),
        ResolveError::NotParked { .. } | ResolveError::Taken { .. } => {
            Failure::refused(error.to_string())
        }
    }
}
