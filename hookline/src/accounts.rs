//! `hookline accounts`: the accounts we may speak for.

mod add;
pub(crate) mod browser;
mod check;
mod error;
mod list;

use clap::Subcommand;
use runtime::config::Settings;
use serde_json::json;
use sqlx::PgPool;
use worker::facts::accounts::AccountStore;

use crate::exit::Exit;
use crate::output::{Output, say};
use crate::{account_name, connect, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountsVerb {
    /// Connects an account, or gives it a new token
    #[command(
        after_help = "Example:\n  hookline accounts add --channel instagram --login instagram --id 17841400000000001 --token-env IG_TOKEN"
    )]
    Add(Box<add::AddArgs>),
    /// Prints a one-time link where a browser connects accounts, and waits
    #[command(
        after_help = "Examples:\n  hookline accounts connect --login instagram\n  hookline accounts connect --login facebook --wait 30m"
    )]
    Connect(browser::ConnectArgs),
    /// Lists accounts; never their tokens
    #[command(after_help = "Example:\n  hookline accounts list --output json")]
    List {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Asks Graph whether token, scopes and webhook subscription work
    #[command(
        after_help = "Examples:\n  hookline accounts check\n  hookline accounts check instagram/17841400000000001"
    )]
    Check {
        /// The account, as ID or CHANNEL/ID; all where absent
        account: Option<String>,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Forgets an account and its token; its conversations stay
    #[command(
        after_help = "Example:\n  hookline accounts remove instagram/17841400000000001 --dry-run"
    )]
    Remove {
        /// The account, as ID or CHANNEL/ID
        account: String,
        /// Why; kept in the record of acts
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Says what would be forgotten, changes nothing
        #[arg(long)]
        dry_run: bool,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Carries out `hookline accounts`.
///
/// # Errors
/// Exit code 2 for wrong arguments, 3 for an alias that has events, 4 where Postgres does not answer.
pub(crate) async fn run(verb: AccountsVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let reads = matches!(verb, AccountsVerb::List { .. } | AccountsVerb::Check { .. });
    let (pool, accounts) = open(settings, !reads).await?;
    match verb {
        AccountsVerb::Add(args) => add::add(*args, &pool, &accounts).await,
        AccountsVerb::Connect(args) => browser::connect(args, &pool, settings).await,
        AccountsVerb::List { output } => list::list(&accounts, output).await,
        AccountsVerb::Check { account, output } => {
            let chosen = match account {
                Some(name) => Some(account_name::connected(&pool, "ACCOUNT", &name).await?),
                None => None,
            };
            check::check(&accounts, settings, chosen, output).await
        }
        AccountsVerb::Remove { account, reason, dry_run, output } => {
            let (channel, id) = account_name::connected(&pool, "ACCOUNT", &account).await?;
            if !dry_run {
                accounts.remove(channel, &id).await.map_err(error::failure)?;
                let arguments = json!({"account": format!("{channel}/{id}")});
                let result = json!({"removed": true});
                operator::record(&pool, "accounts remove", arguments, reason.as_deref(), result)
                    .await?;
            }
            match output {
                Output::Json => say(json!({
                    "channel": channel, "id": id, "removed": !dry_run, "dry_run": dry_run,
                })),
                Output::Table if dry_run => {
                    say(format!("Would remove {channel}/{id} and its token."))
                }
                Output::Table => say(format!("Removed {channel}/{id}.")),
            }
            Ok(Exit::Done)
        }
    }
}

/// The store. Accounts may be added before any worker has run: `migrates` then.
async fn open(settings: &Settings, migrates: bool) -> anyhow::Result<(PgPool, AccountStore)> {
    let seal = worker::config::seal(settings)?;
    let pool = connect::postgres(settings).await?;
    if migrates {
        worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    } else {
        connect::made_by_worker(&pool).await?;
    }
    Ok((pool.clone(), AccountStore::new(pool, seal)))
}
