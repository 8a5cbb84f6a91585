//! The shared handle: connecting, and questions about the connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_nats::connection::State;
use async_nats::jetstream;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::failure::PublishFailure;
use super::identity::{Trouble, identify};
use super::life;
use super::options::options;
use super::reading::{ReadConnection, Reading};
use super::refused::Refused;
use super::room::Room;
use super::state::{BrokerState, KnownEra, Needs};
use super::streams::Streams;
use super::upkeep::Upkeep;
use crate::BoxFuture;
use crate::config::NatsConfig;
use crate::durability::Durability;
use crate::streams::{Era, NothingStored, StoredEras, StreamName};

/// A shared handle on the broker.
#[derive(Clone)]
pub struct Broker {
    client: async_nats::Client,
    js: jetstream::Context,
    state: watch::Receiver<BrokerState>,
    config: Arc<NatsConfig>,
    needs: Needs,
    room: Room,
    trouble: Trouble,
    reading: Reading,
    /// Gone with the last handle.
    _alive: Arc<()>,
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
    pub fn connect(
        name: &str,
        config: NatsConfig,
        needs: Needs,
        shutdown: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<Self>> {
        Self::connect_knowing(name, config, needs, Arc::new(NothingStored), shutdown)
    }

    /// The same for a process that stores positions: `stored` has their eras.
    ///
    /// # Errors
    /// As [`Broker::connect`].
    pub fn connect_knowing(
        name: &str,
        config: NatsConfig,
        needs: Needs,
        stored: Arc<dyn StoredEras>,
        shutdown: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<Self>> {
        Box::pin(Self::start(name, config, needs, stored, shutdown))
    }

    async fn start(
        name: &str,
        config: NatsConfig,
        needs: Needs,
        stored: Arc<dyn StoredEras>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        crate::tls::install();
        let changed = Arc::new(Notify::new());
        let on_event = changed.clone();
        let trouble = Trouble::default();
        let on_trouble = trouble.clone();
        let refused = Refused::default();
        let on_refused = refused.clone();
        let alive = Arc::new(());
        let life = life::guard(shutdown.clone(), Arc::downgrade(&alive));
        let mut options = options(name)
            .event_callback(move |event| {
                // Owned by the client: it goes with it.
                let _ = &life;
                let (changed, trouble) = (on_event.clone(), on_trouble.clone());
                let refused = on_refused.clone();
                async move {
                    trouble.learn(&event);
                    match event {
                        async_nats::Event::ServerError(error) => match refused.learn(&error.to_string()) {
                            // Who needs the answer reports what follows.
                            Some(subject) => tracing::debug!(subject, "The user of the broker may not ask this"),
                            None => {
                                tracing::error!(%error, "The broker refused something; check its permissions and limits");
                            }
                        },
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
        let js = super::options::jetstream(client.clone());
        let (sender, state) = watch::channel(BrokerState {
            connected: false,
            streams: None,
            eras: BTreeMap::new(),
            durability: None,
            max_payload: 0,
            checked_connects: 0,
        });
        let config = Arc::new(config);
        let upkeep = Upkeep {
            streams: Streams::new(
                client.clone(),
                js.clone(),
                config.clone(),
                needs,
                stored,
                refused,
            ),
            client: client.clone(),
            config: config.clone(),
            sender,
            trouble: trouble.clone(),
        };
        tokio::spawn(upkeep.run(changed, shutdown));
        let reading = Reading::new(name, config.clone());
        let room = Room::default();
        Ok(Self { client, js, state, config, needs, room, trouble, reading, _alive: alive })
    }

    /// The client, for what has no method here.
    pub const fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// The JetStream context.
    pub const fn js(&self) -> &jetstream::Context {
        &self.js
    }

    /// The connection on which streams are read. Whoever pulls messages does it there and nowhere else: what a stranger put into one may end
    /// the connection.
    ///
    /// # Errors
    /// When the options cannot work, such as an unreadable credentials file.
    pub(crate) async fn reading(&self) -> anyhow::Result<ReadConnection> {
        self.reading.connection().await
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

    /// Whether each message that is published on its own costs the broker a sync. Assumed where nobody knows.
    pub fn syncs_each(&self) -> bool {
        matches!(self.state.borrow().durability, None | Some(Durability::Synced))
    }

    /// The server's largest message, bytes; 0 until connected.
    pub fn max_payload(&self) -> usize {
        self.state.borrow().max_payload
    }

    /// Whether messages may be accepted: connected, streams there, and durable where that is required.
    ///
    /// # Errors
    /// The reason, with what to do.
    pub fn accepts(&self) -> Result<(), String> {
        if !self.is_connected() {
            return Err(match self.trouble.get() {
                Some(reason) => format!("the broker is not reachable: {reason}"),
                None => "the broker is not reachable".to_owned(),
            });
        }
        let state = self.state.borrow();
        // What was read before the latest reconnect was read from another server.
        if state.checked_connects != self.connects() {
            return Err("the broker was just reached; its durability is not checked yet".to_owned());
        }
        match &state.streams {
            None => {
                return Err(
                    "the broker was just reached; its streams are not checked yet".to_owned()
                );
            }
            Some(Err(reason)) => return Err(reason.clone()),
            Some(Ok(())) => {}
        }
        if !self.config.require_sync {
            return Ok(());
        }
        match &state.durability {
            None => {
                Err("the broker was just reached; its durability is not checked yet".to_owned())
            }
            Some(Durability::NotDurable(reason)) => Err(reason.clone()),
            Some(Durability::Synced | Durability::Replicated) => Ok(()),
        }
    }

    /// The era that is known of a stream. `Err`: the process needs it and has not looked yet; `Ok(None)`: it does not look at it.
    pub(crate) fn known_era(&self, stream: &str) -> Result<Option<Era>, NotLooked> {
        let Some(name) = StreamName::of(stream) else { return Ok(None) };
        match self.state.borrow().eras.get(&name) {
            Some(known) => Ok(Some(known.era)),
            None if self.needs.streams.contains(&name) => Err(NotLooked),
            None => Ok(None),
        }
    }

    /// Why a stream is not the one whose positions are known, with what to do; `None`: it is, or nothing is known of it.
    pub fn foreign(&self, stream: StreamName) -> Option<String> {
        self.state.borrow().eras.get(&stream).and_then(|known| known.foreign.clone())
    }

    /// Refuses to publish to a stream that is not the known one: positions in it would be taken for positions in that one.
    pub(crate) fn refuse_foreign(&self, subject: &str) -> Result<(), PublishFailure> {
        let Some(stream) = StreamName::of_subject(subject) else { return Ok(()) };
        let state = self.state.borrow();
        match state.eras.get(&stream) {
            Some(KnownEra { foreign: Some(_), .. }) => {
                Err(PublishFailure::OtherEra(stream.as_str()))
            }
            _ => Ok(()),
        }
    }

    /// Why publishes failed just now although the broker is connected, with what to do: no room, or no answer.
    pub fn full(&self) -> Option<String> {
        self.room.trouble()
    }

    /// Remembers how a publish ended that the broker was asked for at `begun`.
    pub(crate) fn note_room(&self, end: Result<(), &PublishFailure>, begun: Instant) {
        self.room.note(end, begun, self.is_connected());
    }

    /// Waits until the broker is connected and the needed streams are there.
    pub async fn ready(&self) {
        let mut state = self.state.clone();
        // The sender lives as long as the upkeep task; an error means that the process stops.
        let _ =
            state.wait_for(|state| state.connected && matches!(state.streams, Some(Ok(())))).await;
    }
}

/// A needed stream was not looked at yet.
pub(crate) struct NotLooked;
