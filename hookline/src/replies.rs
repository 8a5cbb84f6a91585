//! `hookline replies`: sends with unknown outcome. They wait for a person who looks into the conversation.

mod list;
mod resolve;

use clap::{Subcommand, ValueEnum};
use runtime::config::Settings;
use worker::outbound::admin::{Finding, Resolution};

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::{account_name, connect, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum RepliesVerb {
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

/// What a person found at Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Found {
    /// The person has it
    Sent,
    /// The person does not have it
    NotSent,
}

/// Carries out `hookline replies`.
///
/// # Errors
/// Exit code 2 for an unknown id, 3 for one whose outcome is known, 4 where Postgres does not answer.
pub(crate) async fn run(verb: RepliesVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    match verb {
        RepliesVerb::List { .. } => connect::made_by_worker(&pool).await?,
        RepliesVerb::Resolve { .. } => {
            worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
        }
    }
    match verb {
        RepliesVerb::List { account, text, limit, output } => {
            list::list(&pool, account.as_deref(), text, limit, output).await
        }
        RepliesVerb::Resolve { id, found, message_id, account, reason, dry_run, output } => {
            if found == Found::NotSent && message_id.is_some() {
                return Err(Failure::usage("--message-id: only with `--as sent`"));
            }
            if message_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
                return Err(Failure::usage("--message-id: must not be empty"));
            }
            let whose = account
                .as_deref()
                .map(|text| account_name::parse("--account", text))
                .transpose()?;
            let resolution = Resolution {
                command_id: &id,
                whose: whose.as_ref(),
                finding: match found {
                    Found::Sent => Finding::Sent,
                    Found::NotSent => Finding::NotSent,
                },
                message_id: message_id.as_deref(),
                by: &operator::name(),
                dry_run,
            };
            resolve::resolve(&pool, resolution, reason.as_deref(), output).await
        }
    }
}
