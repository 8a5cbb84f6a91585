//! `hookline accounts`: the accounts we may speak for.

mod add;
pub(crate) mod browser;
mod check;
mod error;
mod list;
mod rekey;
mod sync;
mod tend;

use clap::Subcommand;
use runtime::config::Settings;
use serde_json::json;
use sqlx::PgPool;
use worker::facts::accounts::AccountStore;

use crate::args::CommonArgs;
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
    /// Asks Meta for the webhook fields; takes none away that is there, and reports what Meta refused
    #[command(
        after_help = "Examples:\n  hookline accounts subscribe\n  hookline accounts subscribe instagram/17841400000000001"
    )]
    Subscribe {
        /// The account, as ID or CHANNEL/ID; all where absent
        account: Option<String>,
        /// Says what would be done, changes nothing
        #[arg(long)]
        dry_run: bool,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Asks Meta for a new token now; the old one stays until the new one has answered
    #[command(after_help = "Example:\n  hookline accounts refresh instagram/17841400000000001")]
    Refresh {
        /// The account, as ID or CHANNEL/ID; all where absent
        account: Option<String>,
        /// Says what would be done, changes nothing
        #[arg(long)]
        dry_run: bool,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Imports the conversations of an account with their newest messages; repeated, it changes nothing
    #[command(
        after_help = "Examples:\n  hookline accounts sync instagram/17841400000000001\n  hookline accounts sync 103000000000301 --since 30d --output json"
    )]
    Sync(sync::SyncArgs),
    /// Takes the webhook fields away, destroys the token and ends what is queued; the history stays
    #[command(
        after_help = "Example:\n  hookline accounts disconnect instagram/17841400000000001 --reason 'the shop left'"
    )]
    Disconnect {
        /// The account, as ID or CHANNEL/ID
        account: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Moves everything that is sealed to the first key of ENCRYPTION_KEY; the others can be removed afterwards
    #[command(after_help = "Example:\n  ENCRYPTION_KEY=new:…,old:… hookline accounts rekey")]
    Rekey {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Forgets an account and its token; its conversations stay
    #[command(
        after_help = "Example:\n  hookline accounts remove instagram/17841400000000001 --dry-run"
    )]
    Remove {
        /// The account, as ID or CHANNEL/ID
        account: String,
        #[command(flatten)]
        common: CommonArgs,
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
        AccountsVerb::Add(args) => add::add(*args, &pool, &accounts, settings).await,
        AccountsVerb::Connect(args) => browser::connect(args, &pool, settings).await,
        AccountsVerb::List { output } => list::list(&accounts, output).await,
        AccountsVerb::Check { account, output } => {
            let chosen = match account {
                Some(name) => Some(account_name::connected(&pool, "ACCOUNT", &name).await?),
                None => None,
            };
            check::check(&accounts, settings, chosen, output).await
        }
        AccountsVerb::Subscribe { account, dry_run, output } => {
            let chosen = tend::chosen(&pool, &accounts, account.as_deref()).await?;
            if dry_run {
                return Ok(tend::would("ask Meta for the webhook fields of", &chosen, output));
            }
            tend::subscribe(&accounts, settings, chosen, output).await
        }
        AccountsVerb::Refresh { account, dry_run, output } => {
            let chosen = tend::chosen(&pool, &accounts, account.as_deref()).await?;
            if dry_run {
                return Ok(tend::would("ask Meta for a new token of", &chosen, output));
            }
            tend::refresh(&accounts, settings, chosen, output).await
        }
        AccountsVerb::Sync(args) => {
            let named = account_name::connected(&pool, "ACCOUNT", &args.account).await?;
            sync::sync(&args, &pool, settings, named).await
        }
        AccountsVerb::Disconnect { account, common } => {
            let named = account_name::connected(&pool, "ACCOUNT", &account).await?;
            tend::disconnect(&pool, &accounts, settings, named, &common).await
        }
        AccountsVerb::Rekey { common: CommonArgs { dry_run: true, output, .. } } => {
            rekey::would(settings, output)
        }
        AccountsVerb::Rekey { common: CommonArgs { reason, output, .. } } => {
            rekey::rekey(&pool, settings, reason.as_deref(), output).await
        }
        AccountsVerb::Remove { account, common: CommonArgs { reason, dry_run, output } } => {
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
