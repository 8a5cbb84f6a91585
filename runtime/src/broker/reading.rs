//! The connection on which streams are read, apart from the one of all else: what a stranger put into a message may end it, and nothing but
//! reading may suffer (docs/decisions/30).

use std::sync::Arc;

use async_nats::jetstream;
use tokio::sync::{Mutex, watch};

use super::identity::identify;
use super::options::options;
use crate::config::NatsConfig;

/// Makes the connection when it is first used, and another one when its client has died.
#[derive(Clone)]
pub(super) struct Reading {
    name: Arc<str>,
    config: Arc<NatsConfig>,
    current: Arc<Mutex<Option<ReadConnection>>>,
}

/// A connection for reading.
#[derive(Clone)]
pub(crate) struct ReadConnection {
    js: jetstream::Context,
    /// How often it was lost; closed when its client has died.
    losses: watch::Receiver<u64>,
}

impl Reading {
    pub(super) fn new(name: &str, config: Arc<NatsConfig>) -> Self {
        Self { name: format!("{name}-reader").into(), config, current: Arc::default() }
    }

    /// The connection, while its client lives.
    ///
    /// # Errors
    /// When the options cannot work, such as an unreadable credentials file.
    pub(super) async fn connection(&self) -> anyhow::Result<ReadConnection> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current {
            if !connection.is_dead() {
                return Ok(connection.clone());
            }
            metrics::counter!("hookline_broker_read_clients_died_total").increment(1);
            tracing::warn!(
                "The client that reads streams died of something it received; reading goes on with another one"
            );
        }
        let connection = self.connect().await?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> anyhow::Result<ReadConnection> {
        // The client owns the sender, through its callback: it is gone when the client is.
        let (sender, losses) = watch::channel(0_u64);
        let options = options(&self.name).event_callback(move |event| {
            if matches!(event, async_nats::Event::Disconnected) {
                sender.send_modify(|losses| *losses += 1);
            }
            std::future::ready(())
        });
        let (options, servers) = identify(options, &self.config).await?;
        let client = options.connect(servers).await?;
        Ok(ReadConnection { js: super::options::jetstream(client), losses })
    }
}

impl ReadConnection {
    /// What streams are read by.
    pub(crate) const fn js(&self) -> &jetstream::Context {
        &self.js
    }

    /// How often it was lost so far.
    pub(crate) fn losses(&self) -> u64 {
        *self.losses.borrow()
    }

    /// Returns when it was lost again, or its client has died: `true` then.
    pub(crate) async fn lost(&self, losses: u64) -> bool {
        let mut watched = self.losses.clone();
        watched.wait_for(|now| *now != losses).await.is_err()
    }

    fn is_dead(&self) -> bool {
        self.losses.has_changed().is_err()
    }
}
