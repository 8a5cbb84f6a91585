//! The connection to NATS, what is known of its state, and its upkeep.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::NatsConfig;
use crate::durability::{self, Durability};
use crate::publish::PublishFailure;
use crate::streams::{self, StreamName};

/// How often durability is read anew (contract section 2).
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// How long a refusal for lack of room is told. Only publishing shows that there is room again, so it must not be told for ever.
const FULL_FOR: Duration = Duration::from_secs(15);
/// So many publishes in a row without an answer are more than a slow moment: nats-server says nothing at all where it cannot write.
const UNANSWERED_MAX: u32 = 3;
/// How soon the upkeep tries again while something is missing.
const CHECK_SOON: Duration = Duration::from_millis(500);
/// A broker that is not there by then is waited for, and that is said.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// What is known about the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerState {
    /// Connected, by the client's own account.
    pub connected: bool,
    /// The streams this process needs are there; `None` until looked at.
    pub streams: Option<Result<(), String>>,
    /// Durability; `None` until read.
    pub durability: Option<Durability>,
    /// The server's largest message, bytes; 0 until connected.
    pub max_payload: usize,
    /// Counted up with every (re)connect: readers open their consumers anew.
    pub generation: u64,
    /// [`Broker::connects`] when all this was read.
    pub checked_connects: u64,
}

/// Which streams a process needs, and whether it may fail to create them.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The streams.
    pub streams: &'static [StreamName],
    /// `true`: a role with the permission to publish only cannot look at streams; publishing itself will tell.
    pub best_effort: bool,
}

/// A shared handle on the broker.
#[derive(Clone)]
pub struct Broker {
    client: async_nats::Client,
    js: jetstream::Context,
    state: watch::Receiver<BrokerState>,
    config: Arc<NatsConfig>,
    room: Arc<Mutex<Room>>,
    trouble: Trouble,
}

/// Adds to the options who we are, by credentials file or by what stands before the `@` of a URL (the client itself ignores that), and
/// answers with the servers to connect to.
///
/// # Errors
/// When the credentials file cannot be read.
pub async fn identify(
    mut options: async_nats::ConnectOptions,
    config: &NatsConfig,
) -> anyhow::Result<(async_nats::ConnectOptions, Vec<async_nats::ServerAddr>)> {
    if let Some(path) = &config.creds {
        options = options.credentials_file(path).await.map_err(|error| {
            anyhow::anyhow!("NATS_CREDS: cannot read {}: {error}", path.display())
        })?;
    }
    let servers: Vec<async_nats::ServerAddr> =
        config.servers.iter().filter_map(|server| server.parse().ok()).collect();
    if let Some((user, password)) = servers.iter().find_map(credentials) {
        // The inbox of each user is its own, so that permissions can keep users out of each other's answers.
        options = options.custom_inbox_prefix(format!("_INBOX_{user}"));
        if config.creds.is_none() {
            options = options.user_and_password(user, password);
        }
    }
    Ok((options, servers))
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Broker {
    /// Starts to connect and to keep up the connection; returns at once, also while the server is away.
    ///
    /// # Errors
    /// When the options cannot work, such as an unreadable credentials file.
    pub async fn connect(
        name: &str,
        config: NatsConfig,
        needs: Needs,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        crate::tls::install();
        let changed = Arc::new(Notify::new());
        let on_event = changed.clone();
        let trouble = Trouble::default();
        let on_trouble = trouble.clone();
        let mut options = async_nats::ConnectOptions::new()
            .name(format!("hookline-{name}"))
            .retry_on_initial_connect()
            .max_reconnects(None)
            // Three unanswered ones end a connection: a forgotten one is replaced after some six seconds.
            .ping_interval(Duration::from_secs(2))
            .connection_timeout(Duration::from_secs(2))
            .reconnect_delay_callback(|attempts| {
                crate::retry::delay(Duration::from_millis(50), Duration::from_secs(1), u32::try_from(attempts).unwrap_or(31), 1.0)
            })
            .event_callback(move |event| {
                let (changed, trouble) = (on_event.clone(), on_trouble.clone());
                async move {
                    trouble.learn(&event);
                    match event {
                        async_nats::Event::ServerError(error) => {
                            tracing::error!(%error, "The broker refused something; check its permissions and limits");
                        }
                        async_nats::Event::SlowConsumer(id) => tracing::warn!(subscription = id, "Reading too slowly from the broker"),
                        async_nats::Event::Connected => tracing::info!("Connected to the broker"),
                        async_nats::Event::Disconnected => tracing::warn!("Lost the broker; reconnecting"),
                        _ => {}
                    }
                    changed.notify_one();
                }
            });
        let servers;
        (options, servers) = identify(options, &config).await?;
        let client = options.connect(servers).await?;
        let js = jetstream::context::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .backpressure_on_inflight(true)
            .build(client.clone());
        let (sender, state) = watch::channel(BrokerState {
            connected: false,
            streams: None,
            durability: None,
            max_payload: 0,
            generation: 0,
            checked_connects: 0,
        });
        let config = Arc::new(config);
        let upkeep = Upkeep {
            client: client.clone(),
            js: js.clone(),
            config: config.clone(),
            needs,
            sender,
            trouble: trouble.clone(),
        };
        tokio::spawn(upkeep.run(changed, shutdown));
        Ok(Self { client, js, state, config, room: Arc::default(), trouble })
    }

    /// The client, for what has no method here.
    pub const fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// The JetStream context.
    pub const fn js(&self) -> &jetstream::Context {
        &self.js
    }

    /// The configuration it was connected with.
    pub fn config(&self) -> &NatsConfig {
        &self.config
    }

    /// What is known now; `connected` is read from the client itself.
    pub fn state(&self) -> BrokerState {
        let mut state = self.state.borrow().clone();
        state.connected = self.is_connected();
        state
    }

    /// A receiver that sees every change of the state.
    pub fn watch(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }

    /// Whether the client is connected right now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// How often the connection was established so far. A publish that spans a change of it may have been acked by another
    /// server than the one whose durability was read.
    pub fn connects(&self) -> u64 {
        self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether messages may be accepted: connected, streams there, and durable where that is required.
    ///
    /// # Errors
    /// The reason, with what to do.
    pub fn accepts(&self) -> Result<(), String> {
        let state = self.state();
        if !state.connected {
            return Err(match self.trouble.get() {
                Some(reason) => format!("the broker is not reachable: {reason}"),
                None => "the broker is not reachable".to_owned(),
            });
        }
        // What was read before the latest reconnect says nothing about the server behind it.
        if state.checked_connects != self.connects() {
            return Err("the broker was just reached; its durability is not checked yet".to_owned());
        }
        match state.streams {
            None => {
                return Err(
                    "the broker was just reached; its streams are not checked yet".to_owned()
                );
            }
            Some(Err(reason)) => return Err(reason),
            Some(Ok(())) => {}
        }
        if !self.config.require_sync {
            return Ok(());
        }
        match state.durability {
            None => {
                Err("the broker was just reached; its durability is not checked yet".to_owned())
            }
            Some(Durability::NotDurable(reason)) => Err(reason),
            Some(Durability::Synced | Durability::Replicated) => Ok(()),
        }
    }

    /// Why publishes failed just now although the broker is connected, with what to do: no room, or no answer.
    pub fn full(&self) -> Option<String> {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reason) = room.trouble.as_ref()?;
        (at.elapsed() < FULL_FOR).then(|| reason.clone())
    }

    /// Remembers how a publish ended that the broker was asked for.
    pub(crate) fn note_room(&self, end: Result<(), &PublishFailure>) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        match end {
            Ok(()) => *room = Room::default(),
            Err(PublishFailure::Full(reason)) => {
                room.trouble = Some((
                    Instant::now(),
                    format!(
                        "a stream is full ({reason}): raise its max_bytes, or the server's max_file_store and disk"
                    ),
                ));
            }
            Err(PublishFailure::TimedOut) if self.is_connected() => {
                room.unanswered += 1;
                if room.unanswered >= UNANSWERED_MAX {
                    room.trouble = Some((
                        Instant::now(),
                        format!(
                            "the broker is connected, but the last {} publishes had no answer: its disk may be full or failing (see its log; it stops a stream until it is restarted)",
                            room.unanswered
                        ),
                    ));
                }
            }
            Err(_) => {}
        }
    }

    /// Waits until the broker is connected and the needed streams are there.
    pub async fn ready(&self) {
        let mut state = self.state.clone();
        // The sender lives as long as the upkeep task; an error means that the process stops.
        let _ =
            state.wait_for(|state| state.connected && matches!(state.streams, Some(Ok(())))).await;
    }
}

/// User and password of a server URL, as they were before they were percent-encoded into it.
fn credentials(server: &async_nats::ServerAddr) -> Option<(String, String)> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decode(server.username()?);
    Some((user, decode(server.password().unwrap_or_default())))
}

/// How the latest publishes ended.
#[derive(Debug, Default)]
struct Room {
    unanswered: u32,
    trouble: Option<(Instant, String)>,
}

/// Why the latest attempt to connect failed, in the client's words: those name no server and no user.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn learn(&self, event: &async_nats::Event) {
        let reason = match event {
            async_nats::Event::ClientError(error) => Some(error.to_string()),
            async_nats::Event::Connected => None,
            _ => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The task that watches the connection.
struct Upkeep {
    trouble: Trouble,
    client: async_nats::Client,
    js: jetstream::Context,
    config: Arc<NatsConfig>,
    needs: Needs,
    sender: watch::Sender<BrokerState>,
}

impl Upkeep {
    async fn run(self, changed: Arc<Notify>, shutdown: CancellationToken) {
        let http = match reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .no_proxy()
            .build()
        {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(%error, "Cannot build an HTTP client; durability cannot be read");
                return;
            }
        };
        if !self.config.require_sync {
            tracing::warn!(
                "NATS_REQUIRE_SYNC=false: accepted webhooks may be lost when the broker loses power"
            );
        }
        let mut last_server: Option<(String, u64)> = None;
        let (started, mut said) = (Instant::now(), false);
        loop {
            let connected = self.client.connection_state() == State::Connected;
            let mut settled = false;
            if connected {
                let info = self.client.server_info();
                let reconnects =
                    self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed);
                let server = (info.server_id.clone(), reconnects);
                let fresh = last_server.as_ref() != Some(&server);
                if fresh {
                    // What was read from another server, or before the break, no longer counts.
                    self.sender.send_modify(|state| {
                        state.connected = true;
                        state.generation += 1;
                        state.max_payload = info.max_payload;
                        state.durability = None;
                        state.checked_connects = reconnects;
                    });
                    last_server = Some(server);
                }
                let (durability, streams) =
                    tokio::join!(durability::read(&http, &self.config), self.ensure_streams());
                settled = streams.is_ok() && !matches!(durability, Durability::NotDurable(_));
                self.report(&durability, &streams);
                self.sender.send_if_modified(|state| {
                    let before = state.clone();
                    state.connected = true;
                    state.durability = Some(durability);
                    state.streams = Some(streams);
                    *state != before
                });
            } else {
                self.sender
                    .send_if_modified(|state| std::mem::replace(&mut state.connected, false));
                // One that was there and is lost is told by the client.
                if last_server.is_none() && !said && SAY_AFTER <= started.elapsed() {
                    said = true;
                    let reason = self.trouble.get().unwrap_or_default();
                    tracing::warn!(%reason, "Waiting for the broker (NATS_URL)");
                }
            }
            let pause = if settled { CHECK_EVERY } else { CHECK_SOON };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says once, not every time, that something is missing.
    fn report(&self, durability: &Durability, streams: &Result<(), String>) {
        let state = self.sender.borrow();
        if let Durability::NotDurable(reason) = durability
            && state.durability.as_ref() != Some(durability)
        {
            tracing::warn!(%reason, required = self.config.require_sync, "The broker is not durable");
        }
        if let Err(reason) = streams
            && state.streams.as_ref() != Some(streams)
        {
            tracing::warn!(%reason, "The broker's streams are not ready");
        }
    }

    async fn ensure_streams(&self) -> Result<(), String> {
        for name in self.needs.streams {
            let wait = Duration::from_secs(if self.needs.best_effort { 2 } else { 5 });
            match tokio::time::timeout(wait, streams::ensure(&self.js, *name, &self.config)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_)
                    if self.needs.best_effort
                        && self.client.connection_state() == State::Connected =>
                {
                    tracing::debug!(
                        stream = name.as_str(),
                        "May not look at the stream; publishing will tell"
                    );
                }
                Ok(Err(error)) => return Err(format!("stream {}: {error}", name.as_str())),
                Err(_) => {
                    return Err(format!(
                        "stream {}: the broker did not answer in time",
                        name.as_str()
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_url_are_decoded() {
        let of = |url: &str| credentials(&url.parse().expect("a URL"));
        assert_eq!(of("nats://me:p%40ss@h:1"), Some(("me".into(), "p@ss".into())));
        assert_eq!(of("nats://me@h:1"), Some(("me".into(), String::new())));
        assert_eq!(of("nats://h:1"), None);
    }
}
