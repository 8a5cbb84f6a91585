//! `hookline audit`: what operators did, and why.

use clap::Args;
use ops::Ops;
use runtime::config::Settings;

use crate::connect;
use crate::exit::Exit;
use crate::output::{Output, say, table};

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Prints the record of acts.
///
/// # Errors
/// Exit code 4 where Postgres does not answer.
pub(crate) async fn run(args: &AuditArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let ops = Ops::as_it_is(connect::postgres(settings).await?);
    let acts = ops.acts(args.limit).await?;
    if args.output == Output::Json {
        say(serde_json::to_string(&acts)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = acts
        .into_iter()
        .map(|act| {
            vec![
                act.at.to_string(),
                act.who,
                act.verb,
                act.arguments.to_string(),
                act.reason.unwrap_or_default(),
                act.result.map(|result| result.to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["at", "who", "verb", "arguments", "reason", "result"], &rows);
    Ok(Exit::Done)
}
