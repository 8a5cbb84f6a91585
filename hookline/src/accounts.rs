//! `hookline accounts`: the accounts we may speak for.

use clap::{Subcommand, ValueEnum};
use runtime::config::Settings;
use schemas::{AccountId, Channel};
use serde_json::json;
use sqlx::PgPool;
use worker::facts::accounts::directory::Login;
use worker::facts::accounts::{AccountError, AccountStore, NewAccount, Token};
use worker::graph::findings::Level;
use worker::graph::{Graph, GraphConfig};

use crate::exit::{Exit, Failure, Output, say, table};
use crate::{reach, who};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Connects an account, or gives it a new token
    #[command(
        after_help = "Example:\n  hookline accounts add --channel instagram --login instagram --id 17841400000000001 --token-env IG_TOKEN"
    )]
    Add(Box<Add>),
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

/// A channel on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ChannelWord {
    /// Instagram Direct and comments
    Instagram,
    /// Messenger and Page comments
    Messenger,
}

impl ChannelWord {
    /// The channel.
    pub const fn channel(self) -> Channel {
        match self {
            Self::Instagram => Channel::Instagram,
            Self::Messenger => Channel::Messenger,
        }
    }
}

/// How an account is connected.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LoginWord {
    /// Instagram Login: graph.instagram.com
    Instagram,
    /// Facebook Login: graph.facebook.com
    Facebook,
}

/// A new account.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// instagram or messenger
    #[arg(long, value_enum)]
    channel: ChannelWord,
    /// The id Meta uses in `entry.id`
    #[arg(long)]
    id: String,
    /// instagram or facebook
    #[arg(long, value_enum)]
    login: LoginWord,
    /// The environment variable that holds the token
    #[arg(long, value_name = "VAR")]
    token_env: String,
    /// A name to show
    #[arg(long)]
    name: Option<String>,
    /// The name of the app secret (of META_APP_SECRETS) that alone may speak for it
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// The linked Page of an Instagram account connected by Facebook Login
    #[arg(long)]
    page_id: Option<String>,
    /// Another id Meta uses for it; may be given several times
    #[arg(long = "alias", value_name = "ID")]
    aliases: Vec<String>,
    /// Answer every new inbound message with this text
    #[arg(long, value_name = "TEXT")]
    auto_reply: Option<String>,
    /// Why; kept in the record of acts
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Checks the words and says what would be done, changes nothing
    #[arg(long)]
    dry_run: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Carries it out.
///
/// # Errors
/// Of the store or of Graph; wrong words give exit code 2.
pub async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Exit> {
    let (pool, accounts) = open(settings).await?;
    match verb {
        Verb::Add(add) => self::add(*add, &pool, &accounts).await,
        Verb::List { output } => list(&accounts, output).await,
        Verb::Check { account, output } => {
            check(&accounts, settings, account.as_deref(), output).await
        }
        Verb::Remove { account, reason, dry_run, output } => {
            let (channel, id) = find(&accounts, &account).await?;
            if !dry_run {
                accounts.remove(channel, &id).await.map_err(told)?;
                let arguments = json!({"account": format!("{channel}/{id}")});
                let result = json!({"removed": true});
                who::record(&pool, "accounts remove", arguments, reason.as_deref(), result).await?;
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

/// The store, on a migrated schema: accounts may be added before any worker has run.
async fn open(settings: &Settings) -> anyhow::Result<(PgPool, AccountStore)> {
    let seal = worker::config::seal(settings)?;
    let pool = reach::postgres(settings).await?;
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    Ok((pool.clone(), AccountStore::new(pool, seal)))
}

async fn add(add: Add, pool: &PgPool, accounts: &AccountStore) -> anyhow::Result<Exit> {
    let token = std::env::var(&add.token_env)
        .ok()
        .filter(|token| !token.trim().is_empty())
        .ok_or_else(|| {
            Failure::usage(format!(
                "--token-env: the environment variable {} is not set",
                add.token_env
            ))
        })?;
    let new = NewAccount {
        channel: add.channel.channel(),
        login: match add.login {
            LoginWord::Instagram => Login::Instagram,
            LoginWord::Facebook => Login::Facebook,
        },
        id: add.id.into(),
        token: Token::new(&token),
        name: add.name,
        app: add.app,
        page_id: add.page_id,
        aliases: add.aliases,
        auto_reply: add.auto_reply,
    };
    let known = accounts.get(new.channel, &new.id).await.map_err(told)?.is_some();
    let fresh = if add.dry_run { !known } else { accounts.add(&new).await.map_err(told)? };
    if !add.dry_run {
        let arguments = json!({
            "account": format!("{}/{}", new.channel, new.id), "login": new.login.as_str(), "app": new.app,
            "page_id": new.page_id, "aliases": new.aliases, "auto_reply": new.auto_reply.is_some(),
        });
        who::record(
            pool,
            "accounts add",
            arguments,
            add.reason.as_deref(),
            json!({"added": fresh}),
        )
        .await?;
    }
    match (add.output, add.dry_run) {
        (Output::Json, dry_run) => say(json!({
            "channel": new.channel, "id": new.id, "added": fresh, "dry_run": dry_run,
        })),
        (Output::Table, true) => {
            let what = if fresh { "add" } else { "reconnect" };
            say(format!("Would {what} {}/{}.", new.channel, new.id));
        }
        (Output::Table, false) => {
            let what = if fresh { "Added" } else { "Reconnected" };
            say(format!(
                "{what} {}/{}. `hookline accounts check {}` asks Graph whether it works.",
                new.channel, new.id, new.id
            ));
        }
    }
    Ok(Exit::Done)
}

/// What the store refuses is the call's fault, unless Postgres failed.
fn told(error: AccountError) -> anyhow::Error {
    match error {
        AccountError::Database(error) => error.into(),
        AccountError::AliasHasEvents { .. } => Failure::refused(error.to_string()),
        AccountError::Seal { .. } => anyhow::Error::new(error),
        _ => Failure::usage(error.to_string()),
    }
}

async fn list(accounts: &AccountStore, output: Output) -> anyhow::Result<Exit> {
    let rows = accounts.list().await.map_err(told)?;
    if output == Output::Json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let account = &row.account;
                serde_json::json!({
                    "channel": account.channel, "id": account.id, "login": account.login.as_str(), "name": account.name,
                    "app": account.app, "page_id": account.page_id, "aliases": account.aliases,
                    "auto_reply": account.auto_reply, "state": if account.stopped { "stopped" } else { "active" },
                    "state_reason": row.state_reason, "state_since": row.state_since, "added_at": row.added_at,
                })
            })
            .collect();
        say(serde_json::to_string(&rows)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let account = row.account;
            let state = match row.state_reason {
                Some(reason) if account.stopped => {
                    format!("stopped since {}: {reason}", row.state_since)
                }
                _ => "active".to_owned(),
            };
            let auto = if account.auto_reply.is_some() { "yes" } else { "no" };
            vec![
                account.channel.to_string(),
                account.id.to_string(),
                account.login.as_str().to_owned(),
                account.name.unwrap_or_default(),
                auto.to_owned(),
                state,
            ]
        })
        .collect();
    table(&["channel", "id", "login", "name", "auto-reply", "state"], &rows);
    Ok(Exit::Done)
}

async fn check(
    accounts: &AccountStore,
    settings: &Settings,
    wanted: Option<&str>,
    output: Output,
) -> anyhow::Result<Exit> {
    let chosen: Vec<(Channel, AccountId)> = match wanted {
        Some(wanted) => vec![find(accounts, wanted).await?],
        None => {
            let rows = accounts.list().await.map_err(told)?;
            rows.into_iter().map(|row| (row.account.channel, row.account.id)).collect()
        }
    };
    let graph = Graph::new(GraphConfig::from_settings(settings)?)?;
    let mut worst = Level::Good;
    let mut rows = Vec::new();
    for (channel, id) in chosen {
        let Some(connected) = accounts.get(channel, &id).await.map_err(told)? else { continue };
        for finding in worker::graph::check::check(&graph, &connected).await {
            worst = worst.max(finding.level);
            rows.push((format!("{channel}/{id}"), finding));
        }
    }
    match output {
        Output::Json => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(account, finding)| {
                    serde_json::json!({
                        "account": account, "check": finding.check, "level": finding.level.as_str(),
                        "text": finding.text, "fix": finding.fix,
                    })
                })
                .collect();
            say(serde_json::to_string(&rows)?);
        }
        Output::Table => {
            let rows: Vec<Vec<String>> = rows
                .into_iter()
                .map(|(account, finding)| {
                    vec![
                        account,
                        finding.check.to_owned(),
                        finding.level.as_str().to_owned(),
                        finding.text,
                        finding.fix,
                    ]
                })
                .collect();
            table(&["account", "check", "level", "finding", "fix"], &rows);
        }
    }
    Ok(if worst == Level::Problem { Exit::SomeFailed } else { Exit::Done })
}

/// An account named as `ID` or `CHANNEL/ID`.
async fn find(accounts: &AccountStore, wanted: &str) -> anyhow::Result<(Channel, AccountId)> {
    let (channel, id) = match wanted.split_once('/') {
        Some((channel, id)) => (
            Some(channel.parse::<Channel>().map_err(|error| Failure::usage(error.to_string()))?),
            id,
        ),
        None => (None, wanted),
    };
    let rows = accounts.list().await.map_err(told)?;
    let matching: Vec<_> = rows
        .into_iter()
        .filter(|row| {
            row.account.id.as_str() == id
                && channel.is_none_or(|channel| channel == row.account.channel)
        })
        .collect();
    match matching.as_slice() {
        [row] => Ok((row.account.channel, row.account.id.clone())),
        [] => Err(Failure::usage(format!(
            "no account `{wanted}`: `hookline accounts list` shows them"
        ))),
        _ => Err(Failure::usage(format!(
            "`{wanted}` is an account on both channels: write instagram/{id} or messenger/{id}"
        ))),
    }
}
