//! Loads the settings and carries out one verb.

use std::pin::Pin;

use clap::CommandFactory;
use runtime::config::Settings;

use crate::accounts::AccountsVerb;
use crate::cli::{Arguments, HooklineVerb as Verb};
use crate::exit::{Exit, Failure};
use crate::role::{self, Role};
use crate::streams::StreamsVerb;
use crate::{
    accounts, audit, completeness, db, doctor, endpoints, erase, health, jobs, manual, rebuild,
    recover, redrive, replay, replies, send, status, streams, trace, up, variables, verify,
};

const DATABASE: &[&str] = &["DATABASE_URL"];
const BOTH: &[&str] = &["NATS_URL", "DATABASE_URL"];

/// Carries out the command line.
///
/// # Errors
/// What the verb returns; [`crate::report`] turns it into an exit code.
pub fn run(arguments: Arguments) -> Pin<Box<dyn Future<Output = anyhow::Result<Exit>>>> {
    // Or all of it would be compiled in `main` once more.
    Box::pin(dispatch(arguments))
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<Exit> {
    // Verbs fold and normalise too, and the message of a panic may quote what people wrote.
    runtime::telemetry::report_panics();
    let config = arguments.config;
    let read = |with_up| {
        anyhow::Ok(Settings::load(config.as_deref(), &std::env::current_dir()?, with_up)?)
    };
    let load = |with_up| {
        let settings = read(with_up)?;
        crate::config::check(&settings)?;
        anyhow::Ok(settings)
    };
    let located = |needed| located(load(true)?, needed);
    let run_role = async |role: Role| role::run(role, located(role.needs())?).await;
    match arguments.verb {
        Verb::Up { simulate } => up::run(simulate, load(false)?).await,
        Verb::Ingest => run_role(Role::Ingest).await,
        Verb::Worker => run_role(Role::Worker).await,
        Verb::Projector => run_role(Role::Projector).await,
        Verb::Api => run_role(Role::Api).await,
        Verb::Ops => run_role(Role::Ops).await,
        Verb::Simulate => role::simulate(&load(true)?).await,
        Verb::Accounts(verb) => {
            // A command goes through the broker.
            let needed: &[&str] = match &verb {
                AccountsVerb::Sync(_) => &["DATABASE_URL", "ENCRYPTION_KEY", "NATS_URL"],
                _ => &["DATABASE_URL", "ENCRYPTION_KEY"],
            };
            accounts::run(verb, &located(needed)?).await
        }
        Verb::Endpoints(verb) => {
            let needed: &[&str] = &["NATS_URL", "DATABASE_URL", "ENCRYPTION_KEY"];
            endpoints::run(verb, &located(needed)?).await
        }
        Verb::Status(args) => status::run(&args, &located(BOTH)?).await,
        Verb::Completeness(args) => completeness::run(args, &located(DATABASE)?).await,
        Verb::Trace(args) => trace::run(&args, &located(BOTH)?).await,
        Verb::Streams(verb) => {
            let needed: &[&str] = match &verb {
                StreamsVerb::Plan { .. } => &["NATS_URL"],
                StreamsVerb::Apply(_) | StreamsVerb::Adopt(_) => BOTH,
            };
            streams::run(verb, &located(needed)?).await
        }
        Verb::Db(verb) => db::run(verb, &located(DATABASE)?).await,
        Verb::Jobs(verb) => jobs::run(verb, &located(DATABASE)?).await,
        Verb::Audit(args) => audit::run(&args, &located(DATABASE)?).await,
        Verb::Completions { shell } => manual::completions(Arguments::command(), shell),
        Verb::Man { dir } => manual::pages(Arguments::command(), dir.as_deref()),
        Verb::Replies(verb) => replies::run(verb, &located(DATABASE)?).await,
        Verb::Send(verb) => send::run(verb, &located(DATABASE)?).await,
        Verb::Replay(args) => replay::run(*args, &located(BOTH)?).await,
        Verb::Redrive(verb) => redrive::run(verb, &located(DATABASE)?).await,
        Verb::Rebuild(args) => rebuild::run(args, &located(BOTH)?).await,
        Verb::Recover(args) => {
            let needed = &["NATS_URL", "DATABASE_URL", "ENCRYPTION_KEY"];
            recover::run(args, &located(needed)?).await
        }
        Verb::Erase(args) => {
            let needed = &["NATS_URL", "DATABASE_URL", "ENCRYPTION_KEY"];
            erase::run(args, &located(needed)?).await
        }
        Verb::Verify(args) => verify::run(args, &located(BOTH)?).await,
        Verb::Health(args) => health::run(&args, &load(true)?).await,
        // It shows also a value that is wrong.
        Verb::Config(verb) => variables::run(verb, &read(true)?),
        Verb::Doctor(args) => doctor::run(&located(BOTH)?, args.output).await,
    }
}

/// The settings, if they say where everything is: by variables, or by the `up` that runs in this folder.
fn located(settings: Settings, needed: &[&str]) -> anyhow::Result<Settings> {
    match needed.iter().find(|name| settings.get(name).is_none()) {
        None => Ok(settings),
        Some(name) => Err(Failure::unreachable(format!(
            "{name} is not set and no `hookline up` runs in this folder: set it, or start `hookline up` here"
        ))),
    }
}
