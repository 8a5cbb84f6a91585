//! `hookline endpoints`: outgoing webhooks, by the functions of the api that `/v1/endpoints` calls.

mod print;

use api::endpoints::{EndpointChange, EndpointError, Endpoints, NewEndpoint};
use clap::{Args, Subcommand};
use runtime::config::{NatsConfig, Settings};
use runtime::streams;
use schemas::subjects::INBOX_EVENTS;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::args::{CommonArgs, OutputArgs};
use crate::exit::{Exit, Failure};
use crate::{connect, operator, since};
use print::{done, would};

#[derive(Debug, Subcommand)]
pub(crate) enum EndpointsVerb {
    /// Makes an endpoint and prints its secret, this once
    #[command(
        after_help = "Examples:\n  hookline endpoints add --url https://receiver.example/hookline\n  hookline endpoints add --url https://receiver.example/hookline --kind message.received --account 17841400000000001"
    )]
    Add(AddArgs),
    /// Lists endpoints with their state; never their secrets
    #[command(after_help = "Example:\n  hookline endpoints list --output json")]
    List(OutputArgs),
    /// Shows one: state, lag, what is held, the last error
    #[command(after_help = "Example:\n  hookline endpoints show ep_0123…")]
    Show {
        /// The endpoint
        id: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Sends a signed test event now, from here, and reports the class of the answer
    #[command(after_help = "Example:\n  hookline endpoints test ep_0123…")]
    Test {
        /// The endpoint
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Stops deliveries; nothing is dropped
    #[command(after_help = "Example:\n  hookline endpoints pause ep_0123… --reason 'they move'")]
    Pause {
        /// The endpoint
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Goes on with deliveries, also after a 410; what is held is tried at once
    #[command(after_help = "Example:\n  hookline endpoints resume ep_0123…")]
    Resume {
        /// The endpoint
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Delivers again what was published since a time; receivers know what they have by webhook-id
    #[command(
        after_help = "Examples:\n  hookline endpoints replay ep_0123… --from 2h\n  hookline endpoints replay ep_0123… --from 2026-11-21T10:00:00Z"
    )]
    Replay {
        /// The endpoint
        id: String,
        /// RFC 3339, or a duration ago such as 2h
        #[arg(long)]
        from: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Gives it a new secret and prints it, this once; for 24 hours the one before signs, too
    #[command(after_help = "Example:\n  hookline endpoints rotate ep_0123…")]
    Rotate {
        /// The endpoint
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Removes an endpoint with everything that is held for it
    #[command(after_help = "Example:\n  hookline endpoints remove ep_0123… --dry-run")]
    Remove {
        /// The endpoint
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// A new endpoint.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Where events are sent: https; http only where OUTBOUND_ALLOW names the host
    #[arg(long)]
    url: String,
    /// A kind of events such as message.received, may be repeated; all where absent
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// The id of an account, may be repeated; all where absent
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<String>,
    /// Words for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// What an act is about.
struct Work<'a> {
    pool: &'a PgPool,
    endpoints: &'a Endpoints,
    common: &'a CommonArgs,
}

/// Carries out `hookline endpoints`.
///
/// # Errors
/// Exit code 2 for wrong arguments and unknown endpoints, 4 where Postgres or the broker does not answer.
pub(crate) async fn run(verb: EndpointsVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    let endpoints = Endpoints::from_settings(pool.clone(), settings)?;
    let work = |common| Work { pool: &pool, endpoints: &endpoints, common };
    if !matches!(verb, EndpointsVerb::List(_) | EndpointsVerb::Show { .. }) {
        api::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    }
    match &verb {
        EndpointsVerb::Add(args) => work(&args.common).add(args).await,
        EndpointsVerb::List(args) => {
            let head = head(settings).await?;
            print::list(&endpoints.list(Some(head)).await.map_err(failure)?, args.output)
        }
        EndpointsVerb::Show { id, output } => {
            let head = head(settings).await?;
            print::one(&endpoints.show(id, Some(head)).await.map_err(failure)?, output.output)
        }
        EndpointsVerb::Test { id, common } => work(common).test(id).await,
        EndpointsVerb::Pause { id, common } => work(common).pause(id, true).await,
        EndpointsVerb::Resume { id, common } => work(common).pause(id, false).await,
        EndpointsVerb::Replay { id, from, common } => work(common).replay(id, from).await,
        EndpointsVerb::Rotate { id, common } => work(common).rotate(id).await,
        EndpointsVerb::Remove { id, common } => work(common).remove(id).await,
    }
}

/// The last position of INBOX_EVENTS.
async fn head(settings: &Settings) -> anyhow::Result<u64> {
    let (_client, js) = connect::broker(&NatsConfig::from_settings(settings)?).await?;
    let stream = streams::find(&js, INBOX_EVENTS).await;
    let stream = stream.map_err(|error| connect::broker_error(&error))?;
    Ok(stream.map_or(0, |stream| stream.cached_info().state.last_sequence))
}

/// With the exit code of its kind.
fn failure(error: EndpointError) -> anyhow::Error {
    match error {
        EndpointError::Unknown(id) => {
            Failure::usage(format!("no endpoint `{id}`: `hookline endpoints list` shows them"))
        }
        EndpointError::Wrong(wrong) => Failure::usage(wrong.to_string()),
        EndpointError::Database(error) if runtime::db::is_absent(&error) => {
            Failure::unreachable("schema `api` is not there yet: start the api once")
        }
        other => other.into(),
    }
}

impl Work<'_> {
    async fn add(&self, args: &AddArgs) -> anyhow::Result<Exit> {
        let new = NewEndpoint {
            url: args.url.clone(),
            kinds: args.kinds.clone(),
            accounts: args.accounts.clone(),
            description: args.description.clone(),
        };
        self.endpoints.check_new(&new).map_err(|wrong| failure(wrong.into()))?;
        if self.common.dry_run {
            return Ok(would("make an endpoint for", &new.url, self.common.output));
        }
        let (endpoint, secret) =
            self.endpoints.add(&new, &operator::name()).await.map_err(failure)?;
        self.record("add", &endpoint.id, json!({})).await?;
        print::made(&endpoint, &secret.expose(), self.common.output)
    }

    async fn test(&self, id: &str) -> anyhow::Result<Exit> {
        if self.common.dry_run {
            return self.would("send a test event to", id).await;
        }
        let test = self.endpoints.test(id).await.map_err(failure)?;
        print::tested(&test, self.common.output)
    }

    async fn pause(&self, id: &str, paused: bool) -> anyhow::Result<Exit> {
        let (verb, what, has) =
            if paused { ("pause", "pause", "Paused") } else { ("resume", "resume", "Resumed") };
        if self.common.dry_run {
            return self.would(what, id).await;
        }
        let change = EndpointChange { paused: Some(paused), ..EndpointChange::default() };
        let endpoint = self.endpoints.change(id, &change).await.map_err(failure)?;
        self.record(verb, id, json!({})).await?;
        let shown = serde_json::to_value(&endpoint)?;
        Ok(done(&format!("{has} {id}."), shown, self.common.output))
    }

    async fn replay(&self, id: &str, from: &str) -> anyhow::Result<Exit> {
        let from = since::time("--from", from, runtime::now())?;
        if self.common.dry_run {
            return self.would(&format!("deliver again since {from} to"), id).await;
        }
        self.endpoints.replay(id, from).await.map_err(failure)?;
        self.record("replay", id, json!({"from": from})).await?;
        let result = json!({"endpoint_id": id, "from": from});
        let words = format!("{id} delivers again what was published since {from}.");
        Ok(done(&words, result, self.common.output))
    }

    async fn rotate(&self, id: &str) -> anyhow::Result<Exit> {
        if self.common.dry_run {
            return self.would("give a new secret to", id).await;
        }
        let secret = self.endpoints.rotate(id).await.map_err(failure)?.expose();
        self.record("rotate", id, json!({})).await?;
        let words = format!(
            "The new secret of {id}, shown this once: {secret}\nFor 24 hours the one before signs, too."
        );
        Ok(done(&words, json!({"endpoint_id": id, "secret": secret}), self.common.output))
    }

    async fn remove(&self, id: &str) -> anyhow::Result<Exit> {
        if self.common.dry_run {
            return self.would("remove, with everything that is held for it,", id).await;
        }
        self.endpoints.remove(id).await.map_err(failure)?;
        self.record("remove", id, json!({})).await?;
        let result = json!({"endpoint_id": id, "removed": true});
        Ok(done(&format!("Removed {id}."), result, self.common.output))
    }

    /// Says what would be done, with an endpoint that is there.
    async fn would(&self, what: &str, id: &str) -> anyhow::Result<Exit> {
        self.endpoints.show(id, None).await.map_err(failure)?;
        Ok(would(what, id, self.common.output))
    }

    async fn record(&self, verb: &str, id: &str, mut arguments: Value) -> anyhow::Result<()> {
        arguments["endpoint"] = id.into();
        let verb = format!("endpoints {verb}");
        let reason = self.common.reason.as_deref();
        operator::record(self.pool, &verb, arguments, reason, json!({})).await
    }
}
