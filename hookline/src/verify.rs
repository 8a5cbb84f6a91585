//! `hookline verify`: the read model against the stream. `projector::verify` does it.

use clap::Args;
use projector::verify;
use runtime::config::Settings;

use crate::exit::Exit;
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::read_model::{failure, open, print_comparison, show_in};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Only so many conversations, chosen at random, instead of everything
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    sample: Option<u32>,
    /// Chooses the same conversations as the run that printed it
    #[arg(long, requires = "sample")]
    seed: Option<i64>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Carries out `hookline verify`. Exit code 1 where a row differs.
///
/// # Errors
/// Exit code 4 where something does not answer.
pub(crate) async fn run(args: VerifyArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let stop = runtime::shutdown::on_signal()?;
    let place = open(settings, stop.clone()).await?;
    let mut progress = Progress::new("verify", "events", None);
    let found = match args.sample {
        None => verify::whole(&place, stop, show_in(&mut progress)).await,
        Some(conversations) => {
            let seed = args.seed.unwrap_or_else(|| i64::from(rand::random::<u32>()));
            verify::sample(&place, conversations, seed, stop, show_in(&mut progress)).await
        }
    };
    progress.end();
    let found = found.map_err(|error| failure(error, None))?;
    if args.output == Output::Json {
        say(serde_json::to_string(&found)?);
    } else {
        say(format!("`{}` against INBOX_EVENTS up to position {}.", found.schema, found.position));
        if let Some(sample) = &found.sample {
            say(format!(
                "Sample of {} conversations, --seed {}.",
                sample.conversations, sample.seed
            ));
        }
        print_comparison(&found.comparison, "stream");
        say(match found.comparison.differing {
            0 => "Every row is what the stream says.".to_owned(),
            rows => format!(
                "{rows} rows differ: `hookline rebuild` makes the model again beside this one."
            ),
        });
    }
    Ok(if found.comparison.differing == 0 { Exit::Done } else { Exit::SomeFailed })
}
