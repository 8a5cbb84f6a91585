//! `hookline send`: the outbound kill switch.

use clap::{Args, Subcommand};
use runtime::config::Settings;
use schemas::{AccountId, Channel};
use serde_json::json;
use sqlx::PgPool;
use worker::outbound::admin::{self, FreezeScope};

use crate::exit::{Exit, Failure, Output, say};
use crate::{reach, who};

/// What to do with sending.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Sends nothing from now on: what is asked for waits in order; what is at Meta already is still followed up
    #[command(
        after_help = "Examples:\n  hookline send freeze --reason 'wrong automatic replies'\n  hookline send freeze --account instagram/17841400000000001\n  hookline send freeze --conversation cnv_0123…"
    )]
    Freeze(Freezing),
    /// Ends a freeze of exactly this scope; what waits goes out, in order, if the rules still allow it
    #[command(
        after_help = "Examples:\n  hookline send thaw\n  hookline send thaw --account instagram/17841400000000001\n  hookline send thaw --conversation cnv_0123…"
    )]
    Thaw(Freezing),
}

/// Of what.
#[derive(Debug, Args)]
pub struct Freezing {
    /// One account, as ID or CHANNEL/ID; everything where neither is given
    #[arg(long)]
    account: Option<String>,
    /// One conversation, by its id; with --account it must be one of that account
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Why; kept in the record of acts
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Says what would happen, changes nothing
    #[arg(long)]
    dry_run: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What is meant, found in the database.
enum Scope {
    All,
    Account(Channel, AccountId),
    Conversation(String),
}

impl Scope {
    fn of(&self) -> FreezeScope<'_> {
        match self {
            Self::All => FreezeScope::All,
            Self::Account(channel, account) => FreezeScope::Account(*channel, account),
            Self::Conversation(id) => FreezeScope::Conversation(id),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::All => "everything".to_owned(),
            Self::Account(channel, account) => format!("account {channel}/{account}"),
            Self::Conversation(id) => format!("conversation {id}"),
        }
    }
}

/// Carries it out.
///
/// # Errors
/// Exit code 2 for an account or conversation nobody knows, 4 where Postgres does not answer.
pub async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = reach::postgres(settings).await?;
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    match verb {
        Verb::Freeze(freezing) => freeze(&pool, &freezing).await,
        Verb::Thaw(freezing) => thaw(&pool, &freezing).await,
    }
}

/// A kill switch that is turned for a misspelt name would look as if it worked: unknown names are refused.
async fn scope(pool: &PgPool, freezing: &Freezing) -> anyhow::Result<Scope> {
    let account = match &freezing.account {
        Some(text) => Some(who::account(pool, text).await?),
        None => None,
    };
    let Some(conversation) = &freezing.conversation else {
        return Ok(account.map_or(Scope::All, |(channel, id)| Scope::Account(channel, id)));
    };
    let Some((channel, owner)) = admin::account_of(pool, conversation).await? else {
        return Err(Failure::usage(format!("--conversation: no conversation `{conversation}`")));
    };
    match account {
        Some((wanted, id)) if wanted.as_str() != channel || id.as_str() != owner => {
            Err(Failure::usage(format!(
                "--conversation: `{conversation}` is one of {channel}/{owner}, not of {wanted}/{id}"
            )))
        }
        _ => Ok(Scope::Conversation(conversation.clone())),
    }
}

async fn freeze(pool: &PgPool, freezing: &Freezing) -> anyhow::Result<Exit> {
    let scope = scope(pool, freezing).await?;
    let waiting = admin::waiting(pool, scope.of()).await?;
    let key = scope.of().key();
    let before = admin::freezes(pool).await?.into_iter().find(|freeze| freeze.scope == key);
    if !freezing.dry_run {
        admin::freeze(pool, scope.of(), &who::operator()).await?;
        let result = json!({"changed": before.is_none(), "waiting": waiting});
        who::record(pool, "send freeze", json!({"scope": key}), freezing.reason.as_deref(), result)
            .await?;
    }
    if freezing.output == Output::Json {
        say(json!({
            "scope": key, "frozen": true, "changed": before.is_none(), "waiting": waiting, "dry_run": freezing.dry_run,
        }));
        return Ok(Exit::Done);
    }
    let words = scope.words();
    say(match (&before, freezing.dry_run) {
        (Some(freeze), _) => {
            format!("Frozen already: {words}, since {} by {}.", freeze.since, freeze.by)
        }
        (None, true) => format!("Would freeze {words}; {waiting} command(s) would wait."),
        (None, false) => format!(
            "Froze {words}; {waiting} command(s) wait. `hookline send thaw` with the same words ends it."
        ),
    });
    Ok(Exit::Done)
}

async fn thaw(pool: &PgPool, freezing: &Freezing) -> anyhow::Result<Exit> {
    let scope = scope(pool, freezing).await?;
    let key = scope.of().key();
    let frozen = admin::freezes(pool).await?.iter().any(|freeze| freeze.scope == key);
    if !freezing.dry_run {
        admin::thaw(pool, scope.of()).await?;
        let result = json!({"changed": frozen});
        who::record(pool, "send thaw", json!({"scope": key}), freezing.reason.as_deref(), result)
            .await?;
    }
    let waiting = admin::waiting(pool, scope.of()).await?;
    let others: Vec<String> = admin::freezes(pool)
        .await?
        .into_iter()
        .map(|freeze| freeze.scope)
        .filter(|scope| *scope != key)
        .collect();
    if freezing.output == Output::Json {
        say(json!({
            "scope": key, "frozen": false, "changed": frozen, "waiting": waiting, "other_freezes": others,
            "dry_run": freezing.dry_run,
        }));
        return Ok(Exit::Done);
    }
    let words = scope.words();
    say(match (frozen, freezing.dry_run) {
        (false, _) => format!("Not frozen: {words}."),
        (true, true) => format!("Would thaw {words}; {waiting} command(s) would go on."),
        (true, false) => format!("Thawed {words}; {waiting} command(s) go on."),
    });
    if !others.is_empty() {
        say(format!("Still frozen: {}.", others.join(", ")));
    }
    Ok(Exit::Done)
}
