//! `hookline streams`: the streams as they are beside what they should be, and making them so.

mod adopt;
mod apply;
mod plan;
mod print;

use clap::Subcommand;
use runtime::config::{NatsConfig, Settings};

use crate::connect;
use crate::exit::Exit;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum StreamsVerb {
    /// Shows in what the streams differ from what they should be; changes nothing
    #[command(
        after_help = "Examples:\n  hookline streams plan\n  hookline streams plan --output json"
    )]
    Plan {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Makes what is missing and changes what differs; what may lose messages only when allowed
    #[command(
        after_help = "Examples:\n  hookline streams apply --dry-run\n  hookline streams apply\n  hookline streams apply --allow-destructive --reason 'RAW_MAX_AGE is 7d now'"
    )]
    Apply(apply::ApplyArgs),
    /// Declares a stream that was made anew: readers begin at its start, what is known stays known
    #[command(
        after_help = "Examples:\n  hookline streams adopt META_RAW --dry-run\n  hookline streams adopt META_RAW --reason 'the disk was lost, there is no backup'"
    )]
    Adopt(adopt::AdoptArgs),
}

/// Carries out `hookline streams`.
///
/// # Errors
/// Exit code 3 for changes that may lose messages and for a stream that was lost, 4 where the broker (or, to record what was done, Postgres) does not answer.
pub(crate) async fn run(verb: StreamsVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let config = NatsConfig::from_settings(settings)?;
    let (client, js) = connect::broker(&config).await?;
    let read = async || plan::read(&client.server_info(), &js, &config, settings).await;
    match verb {
        StreamsVerb::Plan { output } => {
            print::plan(&read().await?, output, false)?;
            Ok(Exit::Done)
        }
        StreamsVerb::Apply(args) => {
            apply::apply(&js, &read().await?, &args, &config, settings).await
        }
        StreamsVerb::Adopt(args) => adopt::adopt(&js, &args, &config, settings).await,
    }
}
