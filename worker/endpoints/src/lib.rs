//! Outgoing webhooks (docs/contract.md 10, docs/decisions/54): events are delivered by HTTP to those without NATS.
//!
//! Read in this order: `schedule`, `breaker` and `item` (pure), `definitions`, `store`, `shared`, `run`, `reader`, `queue`, `endpoint`. Each endpoint
//! is a reader of INBOX_EVENTS with a lease and a position of its own. The request itself is [`delivery`]'s.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod breaker;
mod definitions;
mod endpoint;
mod forget;
mod item;
mod queue;
mod reader;
mod run;
mod schedule;
mod shared;
mod store;

use std::collections::HashMap;
use std::time::Duration;

use delivery::Client;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::is_absent;
use runtime::lease::Leases;
use runtime::seal::Seal;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use definitions::Definition;
use endpoint::Endpoint;
pub use forget::forget;
pub use store::NAME_PREFIX;
use store::{Store, name};

/// How often the definitions are read.
const LOOK: Duration = Duration::from_secs(1);

/// Delivers events to all endpoints.
pub struct Endpoints {
    /// Events in.
    pub broker: Broker,
    /// Definitions, and rows of schema `worker`.
    pub pool: PgPool,
    /// The leases of schema `worker`.
    pub leases: Leases,
    /// Opens the secrets.
    pub seal: Seal,
    /// Makes the requests.
    pub client: Client,
}

/// An endpoint that runs here.
struct Running {
    definition: watch::Sender<Definition>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Endpoints {
    /// Works until `shutdown`.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut running = HashMap::new();
            loop {
                if let Err(error) = self.look(&mut running, &shutdown).await
                    && !is_absent(&error)
                {
                    tracing::debug!(%error, "The endpoints cannot be read now; trying again");
                }
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            for (_, Running { task, .. }) in running {
                let _ = task.await;
            }
        })
    }

    fn store(&self, id: &str) -> Store {
        Store { pool: self.pool.clone(), leases: self.leases.clone(), id: id.to_owned() }
    }

    /// Starts, changes and ends endpoints as they are defined.
    async fn look(
        &self,
        running: &mut HashMap<String, Running>,
        shutdown: &CancellationToken,
    ) -> sqlx::Result<()> {
        let defined = definitions::all(&self.pool, &self.seal).await?;
        for (id, one) in running.iter() {
            if !defined.iter().any(|definition| definition.id == *id) {
                one.stop.cancel();
            }
        }
        running.retain(|_, one| !one.task.is_finished());
        let known = store::known(&self.pool).await?;
        for id in known {
            if !running.contains_key(&id) && !defined.iter().any(|definition| definition.id == id) {
                self.forget(&id).await?;
            }
        }
        for definition in defined {
            match running.get(&definition.id) {
                Some(one) => {
                    one.definition.send_if_modified(|current| {
                        let changed = *current != definition;
                        *current = definition;
                        changed
                    });
                }
                None => {
                    running.insert(definition.id.clone(), self.start(definition, shutdown));
                }
            }
        }
        Ok(())
    }

    fn start(&self, definition: Definition, shutdown: &CancellationToken) -> Running {
        let stop = shutdown.child_token();
        let store = self.store(&definition.id);
        let (sender, receiver) = watch::channel(definition);
        let endpoint = Endpoint {
            store,
            broker: self.broker.clone(),
            client: self.client.clone(),
            definition: receiver,
        };
        let task = tokio::spawn(endpoint.run(stop.clone()));
        Running { definition: sender, stop, task }
    }

    /// Removes what is left of an endpoint that was removed, once nobody works on it.
    async fn forget(&self, id: &str) -> sqlx::Result<()> {
        let name = name(id);
        if self.leases.acquire(&name).await?.is_some() {
            self.store(id).forget(&name).await?;
            tracing::info!(endpoint.id = id, "Endpoint `{id}` was removed");
        }
        Ok(())
    }
}
