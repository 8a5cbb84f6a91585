//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runtime::config::Settings;

use crate::exit::{Exit, Failure, Output};
use crate::{
    accounts, doctor, jobs, manual, rebuild, redrive, replay, replies, send, status, streams,
    trace, up, verify,
};

/// Event-sourced ingestion of Meta webhooks: Instagram Direct, Messenger, comments.
#[derive(Debug, Parser)]
#[command(name = "hookline", version, after_help = variables_help())]
pub struct Arguments {
    /// A TOML file with the same names as the environment variables; the environment wins.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All roles in one process, with private nats-server and Postgres under ./.hookline for what has no URL
    #[command(after_help = "Example:\n  hookline up --simulate")]
    Up {
        /// With a simulated Meta: a demo account and traffic
        #[arg(long)]
        simulate: bool,
    },
    /// Meta's door: verify, store, say 200
    #[command(after_help = "Example:\n  hookline ingest")]
    Ingest,
    /// The only role that calls Meta: normalise, resolve, enrich, send
    #[command(after_help = "Example:\n  hookline worker")]
    Worker,
    /// Events into read models
    #[command(after_help = "Example:\n  hookline projector")]
    Projector,
    /// The inbox API
    #[command(after_help = "Example:\n  hookline api")]
    Api,
    /// The Meta simulator alone: Graph API and signed webhook deliveries
    #[command(
        after_help = "Example:\n  hookline simulate\n\nVariables:\n  SIMULATOR_LISTEN (127.0.0.1:8085)  SIMULATOR_SEED (1)  SIMULATOR_WEBHOOK_URL  META_APP_SECRETS"
    )]
    Simulate,
    /// Accounts we may speak for
    #[command(subcommand, after_help = "Example:\n  hookline accounts list")]
    Accounts(accounts::Verb),
    /// Lag per stage, waiting room, dead letters, unknown sends
    #[command(
        after_help = "Examples:\n  hookline status\n  hookline status --watch\n  hookline status --watch 10 --output json"
    )]
    Status(status::Arguments),
    /// The whole story of one id: raw bytes, events, resolution, rows, replies, echoes
    #[command(
        after_help = "Examples:\n  hookline trace evt_0123…\n  hookline trace rpl_0123… --output json\n  hookline trace aWdf… --reveal --reason 'the person asked what we stored'"
    )]
    Trace(trace::Arguments),
    /// Checks the whole set-up; each finding comes with its fix
    #[command(after_help = "Example:\n  hookline doctor")]
    Doctor(Printed),
    /// Sends whose outcome nobody can tell: list, settle
    #[command(subcommand, after_help = "Example:\n  hookline replies list")]
    Replies(replies::Verb),
    /// The outbound kill switch
    #[command(subcommand, after_help = "Example:\n  hookline send freeze")]
    Send(send::Verb),
    /// Raw webhooks through today's normaliser again: a plan first, then only the difference; cannot send
    #[command(after_help = replay::HELP)]
    Replay(Box<replay::Arguments>),
    /// Parked work: list, show, try again, give up
    #[command(subcommand, after_help = "Example:\n  hookline redrive list")]
    Redrive(redrive::Verb),
    /// The streams as they are beside what they should be
    #[command(subcommand, after_help = "Example:\n  hookline streams plan")]
    Streams(streams::Verb),
    /// Jobs that operators started: list, pause, give up, go on
    #[command(subcommand, after_help = "Example:\n  hookline jobs list")]
    Jobs(jobs::Verb),
    /// What operators did, and why
    #[command(after_help = "Example:\n  hookline audit --limit 20")]
    Audit(jobs::Audit),
    /// Prints the completions of a shell
    #[command(
        after_help = "Examples:\n  hookline completions bash > /etc/bash_completion.d/hookline\n  hookline completions zsh > ~/.zfunc/_hookline"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one page per verb into a folder
    #[command(
        after_help = "Examples:\n  hookline man | man -l -\n  hookline man --dir /usr/local/share/man/man1"
    )]
    Man {
        /// The folder
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// A fresh read model beside the serving one: build, compare, swap, go back
    #[command(
        after_help = "Examples:\n  hookline rebuild\n  hookline rebuild --swap --reason 'a row was wrong'\n  hookline rebuild revert"
    )]
    Rebuild(rebuild::Words),
    /// Read model against the stream: digests, rows that differ, the events that made them
    #[command(after_help = "Examples:\n  hookline verify\n  hookline verify --sample 50")]
    Verify(verify::Words),
}

/// How to print.
#[derive(Debug, Args)]
pub struct Printed {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// How to act.
#[derive(Debug, Args)]
pub struct How {
    /// Why; kept in the record of acts
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Says what would happen, changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

fn variables_help() -> String {
    let mut text = String::from("Variables (also in .env and --config FILE.toml):\n");
    for variable in runtime::config::VARIABLES {
        let default = if variable.default.is_empty() {
            String::new()
        } else {
            format!(" [{}]", variable.default)
        };
        text.push_str(&format!("  {:<28} {}{default}\n", variable.name, variable.meaning));
    }
    text
}

/// Carries out the command line.
///
/// # Errors
/// Of the verb; [`crate::exit::report`] knows the exit code.
pub async fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    // Verbs fold and normalise too, and what a panic says may quote what people wrote.
    runtime::telemetry::report_panics();
    let config = arguments.config;
    let load = |with_up| {
        let settings = Settings::load(config.as_deref(), &std::env::current_dir()?, with_up)?;
        crate::config::check(&settings)?;
        anyhow::Ok(settings)
    };
    match arguments.verb {
        Verb::Up { simulate } => up::run(up::Options { simulate }, load(false)?).await,
        Verb::Ingest => role(load(true)?, Role::Ingest).await,
        Verb::Worker => role(load(true)?, Role::Worker).await,
        Verb::Projector => role(load(true)?, Role::Projector).await,
        Verb::Api => role(load(true)?, Role::Api).await,
        Verb::Simulate => simulate(&load(true)?).await,
        Verb::Accounts(verb) => {
            accounts::run(verb, &located(load(true)?, &["DATABASE_URL", "ENCRYPTION_KEY"])?).await
        }
        Verb::Status(arguments) => {
            status::run(&located(load(true)?, &["NATS_URL", "DATABASE_URL"])?, &arguments).await
        }
        Verb::Trace(arguments) => {
            trace::run(&arguments, &located(load(true)?, &["NATS_URL", "DATABASE_URL"])?).await
        }
        Verb::Streams(verb) => {
            let needed: &[&str] = match &verb {
                streams::Verb::Plan { .. } => &["NATS_URL"],
                streams::Verb::Apply(_) => &["NATS_URL", "DATABASE_URL"],
            };
            streams::run(verb, &located(load(true)?, needed)?).await
        }
        Verb::Jobs(verb) => jobs::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Audit(audit) => jobs::audit(&audit, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Completions { shell } => manual::completions(shell),
        Verb::Man { dir } => manual::pages(dir.as_deref()),
        Verb::Replies(verb) => replies::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Send(verb) => send::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Replay(words) => {
            replay::run(*words, &located(load(true)?, &["NATS_URL", "DATABASE_URL"])?).await
        }
        Verb::Redrive(verb) => redrive::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Rebuild(words) => {
            rebuild::run(words, &located(load(true)?, &["NATS_URL", "DATABASE_URL"])?).await
        }
        Verb::Verify(words) => {
            verify::run(words, &located(load(true)?, &["NATS_URL", "DATABASE_URL"])?).await
        }
        Verb::Doctor(printed) => {
            doctor::run(&located(load(true)?, &["NATS_URL", "DATABASE_URL"])?, printed.output).await
        }
    }
}

enum Role {
    Ingest,
    Worker,
    Projector,
    Api,
}

async fn role(settings: Settings, role: Role) -> anyhow::Result<Exit> {
    let name = match role {
        Role::Ingest => "ingest",
        Role::Worker => "worker",
        Role::Projector => "projector",
        Role::Api => "api",
    };
    let needed: &[&str] = match role {
        Role::Ingest => &["NATS_URL"],
        Role::Worker | Role::Projector | Role::Api => &["NATS_URL", "DATABASE_URL"],
    };
    let settings = located(settings, needed)?;
    let _telemetry = runtime::telemetry::init(name, &settings)?;
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    let shutdown = runtime::shutdown::on_signal()?;
    match role {
        Role::Ingest => ingest::run(settings, shutdown).await?,
        Role::Worker => worker::run(settings, shutdown).await?,
        Role::Projector => {
            projector::run(projector::Config::from_settings(&settings)?, shutdown).await?
        }
        Role::Api => api::run(settings, shutdown).await?,
    }
    Ok(Exit::Done)
}

async fn simulate(settings: &Settings) -> anyhow::Result<Exit> {
    let _telemetry = runtime::telemetry::init("simulate", settings)?;
    let read =
        |name: &str| std::env::var(name).ok().or_else(|| settings.get(name).map(str::to_owned));
    let config = simulator::SimulatorConfig::from_variables(read)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let traffic = config.webhook_url.is_some().then(simulator::Traffic::default);
    let shutdown = runtime::shutdown::on_signal()?;
    simulator::run(config, traffic, shutdown.cancelled_owned()).await?;
    Ok(Exit::Done)
}

/// A role or an operator's verb needs to know where things are: from variables, or from a live `up` in this folder.
fn located(settings: Settings, needed: &[&str]) -> anyhow::Result<Settings> {
    match needed.iter().find(|name| settings.get(name).is_none()) {
        None => Ok(settings),
        Some(name) => Err(Failure::unreachable(format!(
            "{name} is not set and no `hookline up` runs in this folder: set it, or start `hookline up` here"
        ))),
    }
}
