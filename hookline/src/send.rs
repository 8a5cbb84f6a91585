//! `hookline send`: the outbound kill switch.

pub(crate) mod act;
pub(crate) mod scope;

use clap::{Args, Subcommand};
use runtime::config::Settings;
use sqlx::PgPool;

use self::act::Act;
use self::scope::KnownScope;
use crate::args::CommonArgs;
use crate::exit::Exit;
use crate::output::{Output, say};
use crate::{connect, operator};

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

async fn scope(pool: &PgPool, args: &FreezeArgs) -> anyhow::Result<KnownScope> {
    let names = ["--account", "--conversation"];
    scope::find(pool, names, args.account.as_deref(), args.conversation.as_deref()).await
}

async fn freeze(pool: &PgPool, args: &FreezeArgs) -> anyhow::Result<Exit> {
    let scope = scope(pool, args).await?;
    let (by, dry_run) = (operator::name(), args.common.dry_run);
    let act = Act { who: &by, reason: args.common.reason.as_deref(), dry_run };
    let done = act::freeze(pool, &scope, act).await?;
    if args.common.output == Output::Json {
        say(serde_json::to_string(&done)?);
        return Ok(Exit::Done);
    }
    let (scope, waiting) = (scope.in_words(), done.waiting);
    say(match (&done.before, dry_run) {
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
    let (by, dry_run) = (operator::name(), args.common.dry_run);
    let act = Act { who: &by, reason: args.common.reason.as_deref(), dry_run };
    let done = act::thaw(pool, &scope, act).await?;
    if args.common.output == Output::Json {
        say(serde_json::to_string(&done)?);
        return Ok(Exit::Done);
    }
    let (scope, waiting) = (scope.in_words(), done.waiting);
    say(match (done.changed, dry_run) {
        (false, _) => format!("Not frozen: {scope}."),
        (true, true) => format!("Would thaw {scope}; {waiting} command(s) would go on."),
        (true, false) => format!("Thawed {scope}; {waiting} command(s) go on."),
    });
    if !done.other_freezes.is_empty() {
        say(format!("Still frozen: {}.", done.other_freezes.join(", ")));
    }
    Ok(Exit::Done)
}
