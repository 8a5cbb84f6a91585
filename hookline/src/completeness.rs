//! `hookline completeness`: whether the log has what Graph shows, and an order to compare and heal now.

use std::time::Duration;

use clap::{Args, Subcommand};
use runtime::config::Settings;
use schemas::Timestamp;
use serde_json::json;
use sqlx::PgPool;
use worker::completeness::{self, AccountStanding, FIGURES_SINCE, Figures};
use worker::outbound::admin::Whose;

use crate::exit::{Exit, Failure};
use crate::output::{Output, note, say, table};
use crate::progress::Progress;
use crate::{account_name, connect, operator, since};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Arguments of `completeness`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CompletenessArgs {
    #[command(subcommand)]
    verb: Option<CompletenessVerb>,
    #[command(flatten)]
    show: ShowArgs,
}

/// Arguments of the figures.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Only this account, as ID or CHANNEL/ID
    #[arg(long)]
    account: Option<String>,
    /// Since when: RFC 3339, or a duration ago such as 7d; a day unless set
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CompletenessVerb {
    /// Compares now, imports what is missing, and prints the figures; nothing of it is answered automatically
    #[command(
        after_help = "Examples:\n  hookline completeness heal\n  hookline completeness heal --account instagram/17841400000000001 --since 7d --reason 'webhooks were off'"
    )]
    Heal {
        /// Only this account, as ID or CHANNEL/ID
        #[arg(long)]
        account: Option<String>,
        /// Messages made since are looked at again: RFC 3339, or a duration ago such as 7d
        #[arg(long, value_name = "T")]
        since: Option<String>,
        #[command(flatten)]
        common: crate::args::CommonArgs,
    },
}

/// Carries out `hookline completeness`.
///
/// # Errors
/// Exit code 2 for an account or time that cannot be read, 4 where Postgres does not answer.
pub(crate) async fn run(args: CompletenessArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    connect::made_by_worker(&pool).await?;
    let now = runtime::now();
    let Some(CompletenessVerb::Heal { account, since: text, common }) = args.verb else {
        let ShowArgs { account, since: text, output } = args.show;
        let whose = whose(&pool, account.as_deref()).await?;
        let since = since::read("--since", text.as_deref(), now)?;
        return show(&pool, whose.as_ref(), since.unwrap_or(now.minus(FIGURES_SINCE)), output)
            .await;
    };
    let whose = whose(&pool, account.as_deref()).await?;
    let since = since::read("--since", text.as_deref(), now)?;
    if common.dry_run {
        let accounts = standing(&pool, whose.as_ref()).await?;
        match common.output {
            Output::Json => say(json!({"accounts": accounts, "since": since, "dry_run": true})),
            Output::Table => say(format!("Would compare {} accounts with Graph.", accounts.len())),
        }
        return Ok(Exit::Done);
    }
    heal(&pool, whose.as_ref(), since, &common, now).await
}

async fn whose(pool: &PgPool, account: Option<&str>) -> anyhow::Result<Option<Whose>> {
    let Some(text) = account else { return Ok(None) };
    let (channel, account) = account_name::connected(pool, "--account", text).await?;
    Ok(Some(Whose { channel: Some(channel), account }))
}

async fn standing(pool: &PgPool, whose: Option<&Whose>) -> anyhow::Result<Vec<AccountStanding>> {
    let channel = whose.and_then(|whose| whose.channel);
    Ok(completeness::standing(pool, channel, whose.map(|whose| &whose.account)).await?)
}

async fn heal(
    pool: &PgPool,
    whose: Option<&Whose>,
    since: Option<Timestamp>,
    common: &crate::args::CommonArgs,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let before = standing(pool, whose).await?;
    let (channel, account) = (whose.and_then(|one| one.channel), whose.map(|one| &one.account));
    let asked = completeness::ask(pool, channel, account, since).await?;
    if asked == 0 {
        return Err(Failure::usage(
            "no active account is compared yet: `hookline accounts list` shows them, and a worker has to have run",
        ));
    }
    let arguments = json!({"account": account, "since": since});
    let result = json!({"accounts": asked});
    operator::record(pool, "completeness heal", arguments, common.reason.as_deref(), result)
        .await?;
    note("hookline: a worker compares them now; that goes on where this verb is interrupted");
    let mut progress = Progress::new("completeness heal", "accounts", Some(asked));
    let ended = loop {
        let after = standing(pool, whose).await?;
        let (done, failed) = ended(&before, &after);
        progress.at(done + failed, "");
        if asked <= done + failed {
            break failed;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    progress.end();
    let shown = show(pool, whose, since.unwrap_or(now.minus(FIGURES_SINCE)), common.output).await?;
    Ok(if ended > 0 { Exit::SomeFailed } else { shown })
}

/// How many accounts were compared since, and how many could not be.
fn ended(before: &[AccountStanding], after: &[AccountStanding]) -> (u64, u64) {
    let mut counts = (0, 0);
    for one in after {
        let was = before
            .iter()
            .find(|was| (was.channel, &was.account_id) == (one.channel, &one.account_id));
        if one.error.is_some() {
            counts.1 += 1;
        } else if was.is_none_or(|was| was.looked_at < one.looked_at) {
            counts.0 += 1;
        }
    }
    counts
}

/// Prints figures and standing; exit code 1 where something cannot be reached, or a field is lost.
async fn show(
    pool: &PgPool,
    whose: Option<&Whose>,
    since: Timestamp,
    output: Output,
) -> anyhow::Result<Exit> {
    let (channel, account) = (whose.and_then(|one| one.channel), whose.map(|one| &one.account));
    let hours = completeness::figures(pool, channel, account, since).await?;
    let accounts = standing(pool, whose).await?;
    let [shown, known, healed, unreachable] = completeness::total(&hours);
    match output {
        Output::Json => say(json!({
            "since": since, "shown": shown, "known": known, "healed": healed, "unreachable": unreachable,
            "hours": hours, "accounts": accounts,
        })),
        Output::Table => print(&hours, &accounts, [shown, known, healed, unreachable]),
    }
    let lost = accounts.iter().any(|one| one.lost_field.is_some());
    Ok(if unreachable > 0 || lost { Exit::SomeFailed } else { Exit::Done })
}

fn print(hours: &[Figures], accounts: &[AccountStanding], total: [i64; 4]) {
    let row = |name: String, hour: String, figures: [i64; 4]| -> Vec<String> {
        let cells = figures.iter().map(ToString::to_string);
        [name, hour].into_iter().chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = hours
        .iter()
        .map(|one| {
            let name = format!("{}/{}", one.channel, one.account_id);
            let figures = [one.shown, one.known, one.healed, one.unreachable];
            row(name, one.hour.to_string(), figures)
        })
        .collect();
    rows.push(row("all".to_owned(), String::new(), total));
    table(&["account", "hour", "shown", "known", "healed", "unreachable"], &rows);
    for one in accounts {
        let name = format!("{}/{}", one.channel, one.account_id);
        if let (Some(field), Some(since)) = (&one.lost_field, one.lost_since) {
            say(format!("{name}: no webhook of field {field} since {since}"));
        }
        match (&one.error, one.looked_at) {
            (Some(error), _) => say(format!("{name}: not compared: {error}")),
            (None, None) => say(format!("{name}: not compared yet")),
            (None, Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_ended_when_it_was_compared_again_or_could_not_be() {
        let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1_000));
        let account = |id: &str, looked_at, error: Option<&str>| AccountStanding {
            channel: schemas::Channel::Instagram,
            account_id: id.into(),
            compared_to: Timestamp::from_millis(0),
            looked_at,
            error: error.map(str::to_owned),
            lost_field: None,
            lost_since: None,
        };
        let before =
            [account("1", at(1), None), account("2", None, None), account("3", at(1), None)];
        let after = [
            account("1", at(2), None),
            account("2", None, Some("code 3")),
            account("3", at(1), None),
        ];
        assert_eq!(ended(&before, &after), (1, 1));
        assert_eq!(ended(&before, &before), (0, 0));
    }
}
