//! How the streams and the server differ from what they should be.

use async_nats::jetstream;
use futures::TryStreamExt;
use runtime::config::{NatsConfig, Settings};
use runtime::streams::plan::{self, Change};
use runtime::streams::{self, StreamName};
use serde::Serialize;

use crate::{connect, nats_server};

#[derive(Debug, Serialize)]
pub(crate) struct StreamsPlan {
    pub(crate) server: ServerPlan,
    pub(crate) streams: Vec<StreamPlan>,
}

/// One stream beside what it should be.
#[derive(Debug, Serialize)]
pub(crate) struct StreamPlan {
    pub(crate) stream: &'static str,
    pub(crate) exists: bool,
    pub(crate) changes: Vec<Change>,
    /// Of others: hookline has no durable consumer.
    pub(crate) durable_consumers: Vec<ConsumerSeen>,
    #[serde(skip)]
    pub(crate) actual: Option<jetstream::stream::Config>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConsumerSeen {
    pub(crate) name: String,
    /// Messages that were not delivered to it yet.
    pub(crate) pending: u64,
    /// Messages delivered and not acknowledged.
    pub(crate) unacknowledged: usize,
}

/// The server beside what is needed of it.
#[derive(Debug, Serialize)]
pub(crate) struct ServerPlan {
    pub(crate) version: String,
    pub(crate) max_payload: usize,
    /// What INGEST_MAX_BODY and its headers need.
    pub(crate) max_payload_needed: usize,
    pub(crate) warnings: Vec<String>,
}

/// Asks the server.
///
/// # Errors
/// Exit code 4 where the broker does not answer.
pub(crate) async fn read(
    info: &async_nats::ServerInfo,
    js: &jetstream::Context,
    config: &NatsConfig,
    settings: &Settings,
) -> anyhow::Result<StreamsPlan> {
    let mut streams = Vec::new();
    for name in StreamName::ALL {
        streams.push(read_stream(js, name, config).await?);
    }
    Ok(StreamsPlan { server: server(info, settings)?, streams })
}

fn server(info: &async_nats::ServerInfo, settings: &Settings) -> anyhow::Result<ServerPlan> {
    let needed = nats_server::max_payload_needed(settings)?;
    let mut warnings = Vec::new();
    if info.max_payload < needed {
        warnings.push(format!(
            "max_payload is {}: set `max_payload: {needed}` or more in the server's configuration, or lower INGEST_MAX_BODY",
            info.max_payload
        ));
    }
    if !nats_server::is_new_enough(&info.version) {
        let (major, minor) = nats_server::VERSION_MIN;
        warnings.push(format!(
            "version {}: install nats-server {major}.{minor} or newer",
            info.version
        ));
    }
    Ok(ServerPlan {
        version: info.version.clone(),
        max_payload: info.max_payload,
        max_payload_needed: needed,
        warnings,
    })
}

async fn read_stream(
    js: &jetstream::Context,
    name: StreamName,
    config: &NatsConfig,
) -> anyhow::Result<StreamPlan> {
    let missing = StreamPlan {
        stream: name.as_str(),
        exists: false,
        changes: Vec::new(),
        durable_consumers: Vec::new(),
        actual: None,
    };
    let found = streams::find(js, name.as_str()).await;
    let Some(stream) = found.map_err(|error| connect::broker_error(&error))? else {
        return Ok(missing);
    };
    let actual = stream.cached_info().config.clone();
    let changes = plan::changes(&streams::desired(name, config), &actual);
    let consumers: Vec<_> =
        stream.consumers().try_collect().await.map_err(|error| connect::broker_error(&error))?;
    let durable_consumers = consumers
        .into_iter()
        .filter(|info| info.config.durable_name.is_some())
        .map(|info| ConsumerSeen {
            name: info.name,
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending,
        })
        .collect();
    Ok(StreamPlan { exists: true, changes, durable_consumers, actual: Some(actual), ..missing })
}
