//! `hookline streams`: the streams as they are beside what they should be, and making them so.

use async_nats::jetstream::{self, context::GetStreamErrorKind};
use clap::{Args, Subcommand};
use futures::TryStreamExt;
use runtime::config::{NatsConfig, Settings};
use runtime::ops::{Act, Ops};
use runtime::streams::plan::{self, Change, Risk};
use runtime::streams::{self, StreamName};
use serde::Serialize;
use serde_json::json;

use crate::cli::How;
use crate::exit::{Exit, Failure, Output, say, table};
use crate::{doctor, reach, who};

/// What to do with streams.
#[derive(Debug, Subcommand)]
pub enum Verb {
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
    Apply(Apply),
}

/// How to apply.
#[derive(Debug, Args)]
pub struct Apply {
    /// Also changes that may lose stored messages
    #[arg(long)]
    allow_destructive: bool,
    #[command(flatten)]
    how: How,
}

/// One stream.
#[derive(Debug, Serialize)]
struct Planned {
    stream: &'static str,
    exists: bool,
    changes: Vec<Change>,
    /// Durable consumers: somebody else's, for hookline has none.
    durable_consumers: Vec<Consumer>,
    #[serde(skip)]
    actual: Option<jetstream::stream::Config>,
}

#[derive(Debug, Serialize)]
struct Consumer {
    name: String,
    /// Messages it has not been given yet.
    pending: u64,
    /// Messages given and not acknowledged.
    unacknowledged: usize,
}

/// What is on the other side.
#[derive(Debug, Serialize)]
struct Server {
    version: String,
    max_payload: usize,
    /// What INGEST_MAX_BODY and its headers need.
    max_payload_needed: usize,
    /// What is wrong with it.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Plan {
    server: Server,
    streams: Vec<Planned>,
}

/// Carries it out.
///
/// # Errors
/// Exit code 3 for changes that may lose messages, 4 where the broker (or, to record an act, Postgres) does not answer.
pub async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Exit> {
    let config = NatsConfig::from_settings(settings)?;
    let (client, js) = reach::broker(&config).await?;
    let server = server(&client.server_info(), settings)?;
    let mut streams = Vec::new();
    for name in StreamName::ALL {
        streams.push(look(&js, name, &config).await?);
    }
    let plan = Plan { server, streams };
    match verb {
        Verb::Plan { output } => {
            print(&plan, output, false)?;
            Ok(Exit::Done)
        }
        Verb::Apply(apply) => self::apply(&js, plan, &apply, &config, settings).await,
    }
}

fn server(info: &async_nats::ServerInfo, settings: &Settings) -> anyhow::Result<Server> {
    let needed = settings.size("INGEST_MAX_BODY", "4MiB")? + (64 << 10);
    let mut warnings = Vec::new();
    if info.max_payload < needed {
        warnings.push(format!(
            "max_payload is {}: set `max_payload: {needed}` or more in the server's configuration, or lower INGEST_MAX_BODY",
            info.max_payload
        ));
    }
    let version: Vec<u32> =
        info.version.split(['.', '-']).filter_map(|part| part.parse().ok()).collect();
    let (major, minor) = doctor::SERVER_MIN;
    if version.len() < 2 || (version[0], version[1]) < (major, minor) {
        warnings.push(format!(
            "version {}: install nats-server {major}.{minor} or newer",
            info.version
        ));
    }
    Ok(Server {
        version: info.version.clone(),
        max_payload: info.max_payload,
        max_payload_needed: needed,
        warnings,
    })
}

async fn look(
    js: &jetstream::Context,
    name: StreamName,
    config: &NatsConfig,
) -> anyhow::Result<Planned> {
    let missing = Planned {
        stream: name.as_str(),
        exists: false,
        changes: Vec::new(),
        durable_consumers: Vec::new(),
        actual: None,
    };
    let stream = match js.get_stream(name.as_str()).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(ref cause) if cause.code() == 404) =>
        {
            return Ok(missing);
        }
        Err(error) => return Err(reach::broker_error(&error)),
    };
    let actual = stream.cached_info().config.clone();
    let changes = plan::changes(&streams::desired(name, config), &actual);
    let consumers: Vec<_> =
        stream.consumers().try_collect().await.map_err(|error| reach::broker_error(&error))?;
    let durable_consumers = consumers
        .into_iter()
        .filter(|info| info.config.durable_name.is_some())
        .map(|info| Consumer {
            name: info.name,
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending,
        })
        .collect();
    Ok(Planned { exists: true, changes, durable_consumers, actual: Some(actual), ..missing })
}

async fn apply(
    js: &jetstream::Context,
    plan: Plan,
    apply: &Apply,
    config: &NatsConfig,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    let with = |risk: Risk| {
        let of = plan
            .streams
            .iter()
            .flat_map(|one| one.changes.iter().map(move |change| (one.stream, change)));
        of.filter(move |(_, change)| change.risk == risk)
            .map(|(stream, change)| {
                format!(
                    "{stream} {}: {} → {} ({})",
                    change.setting, change.is, change.should, change.why
                )
            })
            .collect::<Vec<_>>()
    };
    let (destructive, impossible) = (with(Risk::Destructive), with(Risk::Impossible));
    if !destructive.is_empty() && !apply.allow_destructive {
        return Err(Failure::refused(format!(
            "nothing was changed: --allow-destructive is needed for {}",
            destructive.join("; ")
        )));
    }
    if !destructive.is_empty() && apply.how.reason.as_deref().unwrap_or_default().trim().is_empty()
    {
        return Err(Failure::usage("--reason: say why messages may be lost"));
    }
    if apply.how.dry_run {
        print(&plan, apply.how.output, false)?;
        return Ok(Exit::Done);
    }
    // An act that cannot be recorded is not done.
    let ops = Ops::open(reach::postgres(settings).await?).await?;
    for one in &plan.streams {
        let name = StreamName::ALL.into_iter().find(|name| name.as_str() == one.stream);
        let Some(name) = name else { continue };
        let desired = streams::desired(name, config);
        let done = match &one.actual {
            None => js.create_stream(desired).await.map(|_| ()).map_err(|error| error.to_string()),
            Some(actual) if one.changes.iter().any(|change| change.risk != Risk::Impossible) => js
                .update_stream(plan::changed(&desired, actual))
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Some(_) => continue,
        };
        let act = Act {
            who: &who::operator(),
            verb: "streams apply",
            arguments: json!({"stream": one.stream, "allow_destructive": apply.allow_destructive}),
            reason: apply.how.reason.as_deref(),
            job: None,
            result: Some(
                json!({"created": !one.exists, "changes": one.changes, "error": done.as_ref().err()}),
            ),
        };
        ops.record(act).await?;
        if let Err(error) = done {
            anyhow::bail!(
                "{}: the server refused the change: {error}; `hookline streams plan` shows what is left",
                one.stream
            );
        }
    }
    print(&plan, apply.how.output, true)?;
    if impossible.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure {
        exit: Exit::SomeFailed,
        message: format!("not changed: {}", impossible.join("; ")),
    }
    .into())
}

fn print(plan: &Plan, output: Output, applied: bool) -> anyhow::Result<()> {
    if output == Output::Json {
        let mut value = serde_json::to_value(plan)?;
        value["applied"] = json!(applied);
        say(value);
        return Ok(());
    }
    let mut rows = Vec::new();
    for one in &plan.streams {
        if !one.exists {
            let what = if applied { "created" } else { "missing: `streams apply` makes it" };
            rows.push(vec![
                one.stream.to_owned(),
                what.to_owned(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        } else if one.changes.is_empty() {
            rows.push(vec![
                one.stream.to_owned(),
                "as it should be".to_owned(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
        for change in &one.changes {
            let risk = match change.risk {
                Risk::Safe => "safe".to_owned(),
                Risk::Destructive => format!("DESTRUCTIVE: {}", change.why),
                Risk::Impossible => format!("IMPOSSIBLE: {}", change.why),
            };
            rows.push(vec![
                one.stream.to_owned(),
                change.setting.to_owned(),
                change.is.clone(),
                change.should.clone(),
                risk,
            ]);
        }
    }
    let header = if applied {
        ["stream", "setting", "was", "is", "risk"]
    } else {
        ["stream", "setting", "is", "should be", "risk"]
    };
    table(&header, &rows);
    for one in &plan.streams {
        for consumer in &one.durable_consumers {
            say(format!(
                "{}: durable consumer `{}` of somebody else, {} pending, {} unacknowledged; left alone",
                one.stream, consumer.name, consumer.pending, consumer.unacknowledged
            ));
        }
    }
    say(format!("nats-server {}, max_payload {}", plan.server.version, plan.server.max_payload));
    for warning in &plan.server.warnings {
        say(format!("warning: {warning}"));
    }
    Ok(())
}
