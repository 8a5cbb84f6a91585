//! `hookline send`: the outbound kill switch.

use clap::{Args, Subcommand};
use runtime::config::Settings;
use schemas::{AccountId, Channel};
use serde_json::json;
use sqlx::PgPool;
use worker::outbound::admin::{self, FreezeScope};

use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::{account_name, connect, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum SendVerb {
    /// Sends nothing from now on: what is asked for waits in order; what is at Meta already is still followed up
    #[command(
        after_help = "Examples:\n  hookline send freeze --reason 'wrong automatic replies'\n  hookline send freeze --account instagram/17841400000000001\n  hookline send freeze --conversation cnv_0123…"
    )]
    Freeze(FreezeArgs),
    /// Ends a freeze of exactly this scope; what waits goes out, in order, if the rules still allow it
    #[command(
        after_help = "Examples:\n  hookline send thaw\n  hookline send thaw --account instagram/17841400000000001\n  hookline send thaw --conversation cnv_0123…"
    )]
    Thaw(FreezeArgs),
}

/// What is frozen or thawed.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// One account, as ID or CHANNEL/ID; everything where neither is given
    #[arg(long)]
    account: Option<String>,
    /// One conversation, by its id; with --account it must be one of that account
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// An account or conversation that exists.
enum KnownScope {
    All,
    Account(Channel, AccountId),
    Conversation(String),
}

impl KnownScope {
    fn borrowed(&self) -> FreezeScope<'_> {
        match self {
            Self::All => FreezeScope::All,
            Self::Account(channel, account) => FreezeScope::Account(*channel, account),
            Self::Conversation(id) => FreezeScope::Conversation(id),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::All => "everything".to_owned(),
            Self::Account(channel, account) => format!("account {channel}/{account}"),
            Self::Conversation(id) => format!("conversation {id}"),
        }
    }
}

/// Carries out `hookline send`.
///
/// # Errors
/// Exit code 2 for an account or conversation nobody knows, 4 where Postgres does not answer.
pub(crate) async fn run(verb: SendVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    match verb {
        SendVerb::Freeze(args) => freeze(&pool, &args).await,
        SendVerb::Thaw(args) => thaw(&pool, &args).await,
    }
}

/// The scope of the arguments. Unknown names are refused: a freeze of a misspelt name would look as if it worked.
async fn scope(pool: &PgPool, args: &FreezeArgs) -> anyhow::Result<KnownScope> {
    let account = match &args.account {
        Some(text) => Some(account_name::connected(pool, "--account", text).await?),
        None => None,
    };
    let Some(conversation) = &args.conversation else {
        return Ok(
            account.map_or(KnownScope::All, |(channel, id)| KnownScope::Account(channel, id))
        );
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
        _ => Ok(KnownScope::Conversation(conversation.clone())),
    }
}

async fn freeze(pool: &PgPool, args: &FreezeArgs) -> anyhow::Result<Exit> {
    let scope = scope(pool, args).await?;
    let waiting = admin::waiting(pool, scope.borrowed()).await?;
    let key = scope.borrowed().key();
    let before = admin::freezes(pool).await?.into_iter().find(|freeze| freeze.scope == key);
    if !args.common.dry_run {
        admin::freeze(pool, scope.borrowed(), &operator::name()).await?;
        let result = json!({"changed": before.is_none(), "waiting": waiting});
        operator::record(
            pool,
            "send freeze",
            json!({"scope": key}),
            args.common.reason.as_deref(),
            result,
        )
        .await?;
    }
    if args.common.output == Output::Json {
        say(json!({
            "scope": key, "frozen": true, "changed": before.is_none(), "waiting": waiting, "dry_run": args.common.dry_run,
        }));
        return Ok(Exit::Done);
    }
    let scope = scope.in_words();
    say(match (&before, args.common.dry_run) {
        (Some(freeze), _) => {
            format!("Frozen already: {scope}, since {} by {}.", freeze.since, freeze.by)
        }
        (None, true) => format!("Would freeze {scope}; {waiting} command(s) would wait."),
        (None, false) => format!(
            "Froze {scope}; {waiting} command(s) wait. `hookline send thaw` with the same arguments ends it."
        ),
    });
    Ok(Exit::Done)
}

async fn thaw(pool: &PgPool, args: &FreezeArgs) -> anyhow::Result<Exit> {
    let scope = scope(pool, args).await?;
    let key = scope.borrowed().key();
    let frozen = admin::freezes(pool).await?.iter().any(|freeze| freeze.scope == key);
    if !args.common.dry_run {
        admin::thaw(pool, scope.borrowed()).await?;
        let result = json!({"changed": frozen});
        operator::record(
            pool,
            "send thaw",
            json!({"scope": key}),
            args.common.reason.as_deref(),
            result,
        )
        .await?;
    }
    let waiting = admin::waiting(pool, scope.borrowed()).await?;
    let others: Vec<String> = admin::freezes(pool)
        .await?
        .into_iter()
        .map(|freeze| freeze.scope)
        .filter(|scope| *scope != key)
        .collect();
    if args.common.output == Output::Json {
        say(json!({
            "scope": key, "frozen": false, "changed": frozen, "waiting": waiting, "other_freezes": others,
            "dry_run": args.common.dry_run,
        }));
        return Ok(Exit::Done);
    }
    let scope = scope.in_words();
    say(match (frozen, args.common.dry_run) {
        (false, _) => format!("Not frozen: {scope}."),
        (true, true) => format!("Would thaw {scope}; {waiting} command(s) would go on."),
        (true, false) => format!("Thawed {scope}; {waiting} command(s) go on."),
    });
    if !others.is_empty() {
        say(format!("Still frozen: {}.", others.join(", ")));
    }
    Ok(Exit::Done)
}
