//! `hookline status`: how far each stage is behind the log's head, and what waits for somebody.

mod absent;
mod complete;
mod lag;
mod print;
mod read;
mod sending;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use runtime::config::{NatsConfig, Settings};

pub(crate) use self::read::{Reader, Status};
use crate::connect;
use crate::exit::Exit;
use crate::output::{Output, note, say};

/// Time between the two heads whose difference is the rate of events, without `--watch`.
const RATE_SPAN: Duration = Duration::from_millis(500);

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Looks again and again, every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Carries out `hookline status`: once, or again and again until interrupted.
///
/// # Errors
/// Exit code 4 where the broker or Postgres does not answer; with `--watch` only at the first time.
pub(crate) async fn run(args: &StatusArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let config = NatsConfig::from_settings(settings)?;
    let (broker, pool) = tokio::join!(connect::broker(&config), connect::postgres(settings));
    let ((_client, js), pool) = (broker?, pool?);
    let reader = Reader { config, js, pool };
    let (first, mut before) = once(&reader).await?;
    let Some(seconds) = args.watch else {
        show(&first, args.output)?;
        return Ok(Exit::Done);
    };
    let redraw = args.output == Output::Table && std::io::stdout().is_terminal();
    let mut next = Ok(first);
    loop {
        if redraw {
            let _ = write!(std::io::stdout(), "\x1b[2J\x1b[H");
        }
        match &next {
            Ok(status) if args.output == Output::Table && !redraw => say(print::line(status)),
            Ok(status) => show(status, args.output)?,
            // It may come back: whoever watches wants to see that.
            Err(error) => note(format!("hookline: {error:#}")),
        }
        tokio::select! {
            ended = tokio::signal::ctrl_c() => { ended?; return Ok(Exit::Done) }
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
        next = match reader.read(before).await {
            Ok((status, head)) => {
                before = head;
                Ok(status)
            }
            Err(error) => Err(error),
        };
    }
}

/// The status, with the rate of events over half a second; and when and where the head of the log was.
///
/// # Errors
/// Exit code 4 where the broker does not answer; `sqlx::Error`. Nothing is changed by reading, call again.
pub(crate) async fn once(reader: &Reader) -> anyhow::Result<(Status, (Instant, u64))> {
    let before = reader.head().await?;
    tokio::time::sleep(RATE_SPAN).await;
    reader.read(before).await
}

fn show(status: &Status, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => say(serde_json::to_string(status)?),
        Output::Table => print::screen(status),
    }
    Ok(())
}
