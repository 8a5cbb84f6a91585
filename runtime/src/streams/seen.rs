//! A stream as the broker has it, with its era.

use std::time::Duration;

use async_nats::jetstream::context::{
    CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{self, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use schemas::Timestamp;

use super::era::METADATA;
use super::{Era, StreamName, desired};
use crate::config::NatsConfig;

/// The name under which the metadata of a stream that was adopted has the era before it.
const FOLLOWS: &str = "hookline-follows";

/// The era of a stream: out of its metadata, else from when it was made.
pub fn era_of(info: &stream::Info) -> Era {
    Era::in_metadata(&info.config.metadata)
        .unwrap_or_else(|| Era::derived(&info.config.name, made(info)))
}

fn made(info: &stream::Info) -> Timestamp {
    Timestamp::from_nanos(info.created.unix_timestamp_nanos())
}

/// Whether the metadata of the stream has its era.
pub fn is_marked(info: &stream::Info) -> bool {
    Era::in_metadata(&info.config.metadata).is_some()
}

/// The era before that of a stream which an operator has adopted.
pub fn followed_era(info: &stream::Info) -> Option<Era> {
    info.config.metadata.get(FOLLOWS)?.parse().ok()
}

/// The stream; `None` where there is none of that name.
///
/// # Errors
/// The broker does not answer, or refuses; ask again.
pub async fn find(js: &Context, name: &str) -> Result<Option<Stream>, GetStreamError> {
    match js.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How old a message of the stream may become, as the broker has it: until `streams apply` that may be another time than the configured one.
/// `None`: for ever, or there is no such stream.
///
/// # Errors
/// The broker does not answer, or refuses; ask again.
pub async fn keeps_for(js: &Context, name: StreamName) -> Result<Option<Duration>, GetStreamError> {
    let found = find(js, name.as_str()).await?;
    let age = found.map(|stream| stream.cached_info().config.max_age);
    Ok(age.filter(|age| !age.is_zero()))
}

/// Whether there is no stream of that name.
fn is_absent(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(ref cause) if cause.code() == 404)
}

/// Makes a stream, with an era. Where somebody else has just made it, that one is returned.
///
/// # Errors
/// The broker does not answer, or refuses; call again.
pub async fn make(
    js: &Context,
    name: StreamName,
    config: &NatsConfig,
) -> Result<(), CreateStreamError> {
    let mut desired = desired(name, config);
    desired.metadata.insert(METADATA.to_owned(), Era::random().to_string());
    match js.create_stream(desired).await {
        Ok(_) => Ok(()),
        Err(error) if was_there(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The other one has another era, so the broker takes it for another configuration.
fn was_there(error: &CreateStreamError) -> bool {
    let kind = error.kind();
    matches!(kind, CreateStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

/// Creates the stream where it is missing; an existing one is left as it is (`hookline streams` compares).
///
/// # Errors
/// When the broker does not answer or refuses; call again.
pub async fn ensure(
    js: &Context,
    name: StreamName,
    config: &NatsConfig,
) -> Result<(), CreateStreamError> {
    match find(js, name.as_str()).await {
        Ok(Some(_)) => Ok(()),
        // What keeps it from being read keeps it from being made, with a better error.
        Ok(None) | Err(_) => make(js, name, config).await,
    }
}

/// Writes the era of a stream into its metadata; `follows`: it was adopted after that one.
///
/// # Errors
/// The broker does not answer, or refuses; call again.
pub async fn mark(
    js: &Context,
    info: &stream::Info,
    follows: Option<Era>,
) -> Result<(), CreateStreamError> {
    let mut config = info.config.clone();
    config.metadata.insert(METADATA.to_owned(), era_of(info).to_string());
    if let Some(era) = follows {
        config.metadata.insert(FOLLOWS.to_owned(), era.to_string());
    }
    js.update_stream(config).await.map(|_| ())
}
