//! `hookline config`: every variable with its value, origin and default; what one means; what a role lacks. No secret is ever shown.

use clap::{Subcommand, ValueEnum as _};
use runtime::config::{SECRETS, Settings, VARIABLES, Variable};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{Output, fields, say, table};
use crate::role::Role;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Every variable with value, origin and default; a secret shows as `set`
    #[command(after_help = "Example:\n  hookline config list")]
    List {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// What a variable means, who cannot start without it, and what it is here
    #[command(after_help = "Example:\n  hookline config explain NATS_REQUIRE_SYNC")]
    Explain {
        /// The variable
        #[arg(value_name = "NAME")]
        name: String,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// What each role lacks, and the first value that cannot be understood
    #[command(
        after_help = "Examples:\n  hookline config check\n  hookline --config hookline.toml config check --role worker"
    )]
    Check {
        /// Only this role
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// A variable as it stands here.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    /// `None`: not set, and without a default.
    value: Option<String>,
    origin: Option<String>,
    default: Option<&'static str>,
    meaning: &'static str,
    secret: bool,
    /// Roles that do not start without it.
    needed_by: Vec<&'static str>,
}

/// Carries out `hookline config`. Exit code 1: a role lacks something.
///
/// # Errors
/// Exit code 2 for an unknown name, and for a value that cannot be understood (`check`).
pub(crate) fn run(verb: ConfigVerb, settings: &Settings) -> anyhow::Result<Exit> {
    match verb {
        ConfigVerb::List { output } => {
            let lines: Vec<Line> = VARIABLES.iter().map(|one| line(one, settings)).collect();
            match output {
                Output::Json => say(serde_json::to_string(&lines)?),
                Output::Table => list(&lines),
            }
            Ok(Exit::Done)
        }
        ConfigVerb::Explain { name, output } => {
            let found = VARIABLES.iter().find(|variable| variable.name.eq_ignore_ascii_case(&name));
            let variable = found.ok_or_else(|| {
                Failure::usage(format!(
                    "`{name}` is no variable of hookline: see `hookline config list`"
                ))
            })?;
            let line = line(variable, settings);
            match output {
                Output::Json => say(serde_json::to_string(&line)?),
                Output::Table => explain(&line)?,
            }
            Ok(Exit::Done)
        }
        ConfigVerb::Check { role, output } => check(role, output, settings),
    }
}

fn line(variable: &Variable, settings: &Settings) -> Line {
    let set = settings.get(variable.name);
    let default = (!variable.default.is_empty()).then_some(variable.default);
    let secret = SECRETS.contains(&variable.name);
    let roles = Role::value_variants().iter().copied();
    Line {
        name: variable.name,
        value: set.map(|value| shown(secret, value)).or_else(|| default.map(str::to_owned)),
        origin: match set {
            Some(_) => settings.origin(variable.name).map(ToString::to_string),
            None => default.map(|_| "default".to_owned()),
        },
        default,
        meaning: variable.meaning,
        secret,
        needed_by: roles
            .filter(|role| role.lacks(&Settings::default()).contains(&variable.name))
            .map(Role::name)
            .collect(),
    }
}

/// A URL may carry a password, whatever variable it is in.
fn shown(secret: bool, value: &str) -> String {
    if secret || value.contains('@') { "set".to_owned() } else { value.to_owned() }
}

fn list(lines: &[Line]) {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.name.to_owned(),
                line.value.clone().unwrap_or_else(|| "-".to_owned()),
                line.origin.clone().unwrap_or_else(|| "not set".to_owned()),
                line.default.unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    table(&["variable", "value", "origin", "default"], &rows);
}

fn explain(line: &Line) -> anyhow::Result<()> {
    let mut shown = serde_json::to_value(line)?;
    shown["needed_by"] = match line.needed_by.as_slice() {
        [] => serde_json::Value::Null,
        roles => roles.join(", ").into(),
    };
    if line.secret {
        shown["file"] =
            format!("{}_FILE may name a file that holds it; set one of them", line.name).into();
    }
    fields(&shown);
    Ok(())
}

fn check(role: Option<Role>, output: Output, settings: &Settings) -> anyhow::Result<Exit> {
    crate::config::check(settings)?;
    let roles = match &role {
        Some(role) => std::slice::from_ref(role),
        None => Role::value_variants(),
    };
    let found: Vec<(&str, Vec<&str>)> =
        roles.iter().map(|role| (role.name(), role.lacks(settings))).collect();
    match output {
        Output::Json => {
            let object: serde_json::Map<_, _> = found
                .iter()
                .map(|(role, lacks)| ((*role).to_owned(), serde_json::json!({ "lacks": lacks })))
                .collect();
            say(serde_json::Value::Object(object));
        }
        Output::Table => {
            for (role, lacks) in &found {
                match lacks.as_slice() {
                    [] => say(format!("{role:<10} can start")),
                    names => say(format!("{role:<10} lacks {}", names.join(", "))),
                }
            }
        }
    }
    let whole = found.iter().all(|(_, lacks)| lacks.is_empty());
    Ok(if whole { Exit::Done } else { Exit::SomeFailed })
}
