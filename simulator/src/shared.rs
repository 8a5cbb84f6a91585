//! What every part of a running simulator shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::{AppSecrets, Policy, SimulatorConfig};
use crate::outbox::Outbox;
use crate::world::World;

pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) app_id: u64,
    pub(crate) secrets: AppSecrets,
    pub(crate) base: String,
    pub(crate) webhook_url: watch::Sender<Option<Url>>,
    pub(crate) http: reqwest::Client,
    pub(crate) runtime: Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    world: Mutex<World>,
    policy: Mutex<Policy>,
    outbox: Mutex<Outbox>,
    habits: Mutex<StdRng>,
    pub(crate) traffic: Mutex<Option<CancellationToken>>,
}

impl Shared {
    pub(crate) fn new(config: SimulatorConfig, base: String, http: reqwest::Client) -> Shared {
        Shared {
            seed: config.seed,
            app_id: config.app_id,
            secrets: config.secrets,
            base,
            webhook_url: watch::Sender::new(config.webhook_url),
            http,
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            world: Mutex::new(World::new(config.seed)),
            policy: Mutex::new(config.policy),
            outbox: Mutex::new(Outbox::default()),
            habits: Mutex::new(StdRng::seed_from_u64(config.seed ^ 0x4AB1)),
            traffic: Mutex::new(None),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        locked(&self.outbox)
    }

    pub(crate) fn policy(&self) -> Policy {
        locked(&self.policy).clone()
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        *locked(&self.policy) = policy;
    }

    /// True for a share of all asks; the seed decides which.
    pub(crate) fn chance(&self, rate: f64) -> bool {
        0.0 < rate && locked(&self.habits).random::<f64>() < rate
    }

    /// Runs `work` until it ends or the simulator stops.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let bounded = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        self.tasks.spawn_on(bounded, &self.runtime);
    }

    /// The simulator's clock, to the millisecond as Meta's.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let ahead = locked(&self.policy).clock_ahead_ms;
        let now = Utc::now() + TimeDelta::milliseconds(ahead);
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }
}

/// A holder that panicked left data that is still well-formed: every change is one assignment.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
