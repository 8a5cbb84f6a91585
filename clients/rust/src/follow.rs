//! Reads the events of one account from INBOX_EVENTS by a durable consumer.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, AckKind, ErrorCode, Message};
use futures::StreamExt as _;
use schemas::subjects::{INBOX_EVENTS, token};
use tokio_util::sync::CancellationToken;

use crate::reader::{Retry, carry_out};
use crate::{BoxError, Handler, Meta, Store};

/// How long the broker keeps a request without events.
const EXPIRES: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_secs(1);

/// Where a consumer begins that is made now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the first event that is kept.
    #[default]
    First,
    /// Behind the last.
    New,
}

/// What [`follow`] reads.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the durable consumer: the position is kept under it in the broker.
    pub name: String,
    /// `instagram`, `messenger`, …
    pub channel: String,
    /// The canonical account.
    pub account: String,
    /// For a consumer that is made now.
    pub start: Start,
    /// After which what a dead process had in hand comes again; for a consumer that is made now.
    pub ack_wait: Duration,
    /// Pauses between tries of a handler.
    pub retry: Retry,
}

impl Options {
    /// From the first event on, with an ack wait of 30 s.
    pub fn new(
        name: impl Into<String>,
        channel: impl Into<String>,
        account: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            channel: channel.into(),
            account: account.into(),
            start: Start::First,
            ack_wait: Duration::from_secs(30),
            retry: Retry::default(),
        }
    }

    fn filter(&self) -> String {
        format!("inbox.v1.event.*.{}.{}.>", token(&self.channel), token(&self.account))
    }
}

/// No retry will mend it.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The consumer of that name is not ours.
    #[error(
        "the consumer {0} reads something else or not one at a time: use another name, or have an operator delete it"
    )]
    AnotherConsumer(String),
    /// Somebody drained the client.
    #[error("the connection is closed: connect again, then follow again")]
    Closed,
}

/// Why reading begins anew, or ends.
enum Failure {
    Stopped(Stopped),
    Passing(BoxError),
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Passing(error.into())
    }
}

/// Hands every event of the account to `handler`, one at a time, in the order of the stream, until `stop` is cancelled: the event in hand is
/// finished, or comes again.
///
/// The client's inbox prefix is the one that its user may subscribe to (`ConnectOptions::custom_inbox_prefix`).
///
/// # Errors
/// [`Stopped`], which says what to do. Everything else is reported to [`Handler::trouble`] and tried again.
pub async fn follow<H: Handler, S: Store>(
    client: &async_nats::Client,
    options: &Options,
    handler: &mut H,
    store: &mut S,
    stop: &CancellationToken,
) -> Result<(), Stopped> {
    while !stop.is_cancelled() {
        match read(client, options, handler, store, stop).await {
            Ok(()) => {}
            Err(Failure::Stopped(stopped)) => return Err(stopped),
            Err(Failure::Passing(_)) if is_closed(client).await => return Err(Stopped::Closed),
            Err(Failure::Passing(error)) => {
                let what =
                    format!("reading {INBOX_EVENTS} as {} failed, next try follows", options.name);
                handler.trouble(error, &what);
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
    Ok(())
}

/// A client that was drained, or has used up its `max_reconnects`, never comes back: nobody takes what it would send.
async fn is_closed(client: &async_nats::Client) -> bool {
    matches!(tokio::time::timeout(PAUSE, client.flush()).await, Ok(Err(_)))
}

/// Reads until `stop`, or until something fails.
async fn read<H: Handler, S: Store>(
    client: &async_nats::Client,
    options: &Options,
    handler: &mut H,
    store: &mut S,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let consumer = make(&jetstream::new(client.clone()), options).await?;
    let ack_wait = consumer.cached_info().config.ack_wait;
    while !stop.is_cancelled() {
        let mut messages = consumer.batch().max_messages(100).expires(EXPIRES).messages().await?;
        loop {
            // A request that a lost connection has swallowed is not waited for.
            let next = tokio::time::timeout(EXPIRES + PAUSE, messages.next());
            let message = tokio::select! {
                message = next => match message { Ok(Some(message)) => message?, Ok(None) | Err(_) => break },
                () = stop.cancelled() => return Ok(()),
            };
            let is_done = working(&message, ack_wait, async |meta| {
                carry_out(&message.payload, &meta, handler, store, options.retry, stop).await
            });
            match is_done.await? {
                true => message.ack().await?,
                false => message.ack_with(AckKind::Nak(None)).await?,
            }
        }
    }
    Ok(())
}

/// Takes the consumer of that name, or makes it. The stream is not asked for: a subscriber may not.
async fn make(context: &jetstream::Context, options: &Options) -> Result<PullConsumer, Failure> {
    let config = pull::Config {
        name: Some(options.name.clone()),
        durable_name: Some(options.name.clone()),
        filter_subject: options.filter(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        deliver_policy: match options.start {
            Start::First => DeliverPolicy::All,
            Start::New => DeliverPolicy::New,
        },
        // Order: while one event is in somebody's hands, nothing behind it is handed out, whoever dies meanwhile.
        max_ack_pending: 1,
        ..Default::default()
    };
    let found: Result<PullConsumer, ConsumerError> =
        context.get_consumer_from_stream(&options.name, INBOX_EVENTS).await;
    let consumer = match found {
        Err(error) if is_missing(&error) => {
            context.create_consumer_on_stream(config, INBOX_EVENTS).await?
        }
        found => found?,
    };
    let is = &consumer.cached_info().config;
    if is.filter_subject != options.filter()
        || is.max_ack_pending != 1
        || is.ack_policy != AckPolicy::Explicit
    {
        return Err(Failure::Stopped(Stopped::AnotherConsumer(options.name.clone())));
    }
    Ok(consumer)
}

fn is_missing(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

/// Says every third of the ack wait that the message is in hand, so that it comes to nobody else while a handler takes its time.
async fn working(
    message: &Message,
    ack_wait: Duration,
    work: impl AsyncFnOnce(Meta) -> bool,
) -> Result<bool, BoxError> {
    let position = message.info()?.stream_sequence;
    let replay = message.headers.as_ref().and_then(|headers| headers.get("Hookline-Replay"));
    let meta = Meta { position, replay: replay.map(|job| job.as_str().to_owned()) };
    let mut done = std::pin::pin!(work(meta));
    loop {
        tokio::select! {
            is_done = &mut done => return Ok(is_done),
            () = tokio::time::sleep(ack_wait / 3) => message.ack_with(AckKind::Progress).await?,
        }
    }
}
