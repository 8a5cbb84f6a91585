//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runtime::config::Settings;

use crate::exit::{Exit, Failure, Output};
use crate::{accounts, doctor, redrive, replay, replies, send, status, up};

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
    Ingest,
    /// The only role that calls Meta: normalise, resolve, enrich, send
    Worker,
    /// Events into read models
    Projector,
    /// The inbox API
    Api,
    /// The Meta simulator alone: Graph API and signed webhook deliveries
    #[command(
        after_help = "Variables:\n  SIMULATOR_LISTEN (127.0.0.1:8085)  SIMULATOR_SEED (1)  SIMULATOR_WEBHOOK_URL  META_APP_SECRETS"
    )]
    Simulate,
    /// Accounts we may speak for
    #[command(subcommand)]
    Accounts(accounts::Verb),
    /// Lag per stage, waiting room, dead letters, unknown sends
    #[command(after_help = "Example:\n  hookline status --output json")]
    Status(Printed),
    /// Checks the whole set-up; each finding comes with its fix
    #[command(after_help = "Example:\n  hookline doctor")]
    Doctor(Printed),
    /// Sends whose outcome nobody can tell: list, settle
    #[command(subcommand)]
    Replies(replies::Verb),
    /// The outbound kill switch
    #[command(subcommand)]
    Send(send::Verb),
    /// Raw webhooks through today's normaliser again: a plan first, then only the difference; cannot send
    #[command(after_help = replay::HELP)]
    Replay(Box<replay::Arguments>),
    /// Parked work: list, show, try again, give up
    #[command(subcommand)]
    Redrive(redrive::Verb),
}

/// How to print.
#[derive(Debug, Args)]
pub struct Printed {
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
        Verb::Status(printed) => {
            status::run(&located(load(true)?, &["NATS_URL", "DATABASE_URL"])?, printed.output).await
        }
        Verb::Replies(verb) => replies::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Send(verb) => send::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
        Verb::Replay(words) => {
            replay::run(*words, &located(load(true)?, &["NATS_URL", "DATABASE_URL"])?).await
        }
        Verb::Redrive(verb) => redrive::run(verb, &located(load(true)?, &["DATABASE_URL"])?).await,
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
