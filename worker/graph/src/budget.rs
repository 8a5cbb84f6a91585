//! The rate budget of this process: one meter per app and per account, consulted before each call and fed by each answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime::steady::Steady;
use schemas::Channel;

use super::error::{Class, GraphError, Scope};
use super::limits::{Lane, Meter, Pace, Pauses, Usage};
use facts::accounts::directory::Account;

/// Two per second (docs/meta-platform.md 10).
const CONVERSATIONS_EVERY: Duration = Duration::from_millis(500);

type AccountKey = (Channel, String);

/// Meters of apps and accounts.
#[derive(Debug)]
pub(crate) struct Budget {
    pauses: Pauses,
    meters: Mutex<Meters>,
}

#[derive(Debug, Default)]
struct Meters {
    apps: HashMap<String, Meter>,
    accounts: HashMap<AccountKey, Meter>,
    conversations: HashMap<AccountKey, Pace>,
    /// By account, the stored token that Meta refused last, and how.
    refused: HashMap<AccountKey, (Vec<u8>, GraphError)>,
}

/// Accounts without a named app share one per kind of login: Meta counts per app, and a company has mostly one of each.
fn app_key(account: &Account) -> String {
    account.app.clone().unwrap_or_else(|| format!("login:{}", account.login.as_str()))
}

fn account_key(account: &Account) -> AccountKey {
    (account.channel, account.id.as_str().to_owned())
}

impl Budget {
    /// Pauses from `min` to `max` where Meta does not say for how long.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        let measured_for = max.min(Duration::from_secs(60));
        Self { pauses: Pauses { min, max, measured_for }, meters: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Meters) -> T) -> T {
        act(&mut self.meters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a call may be made now.
    ///
    /// # Errors
    /// [`Class::Limited`] with the time to wait.
    pub(crate) fn allow(
        &self,
        account: &Account,
        lane: Lane,
        now: Steady,
    ) -> Result<(), GraphError> {
        self.with(|meters| {
            let app = meters
                .apps
                .get(&app_key(account))
                .and_then(|meter| meter.wait(lane, now, &self.pauses));
            if let Some(wait) = app {
                return Err(GraphError::kept_back(Scope::App, wait));
            }
            let own = meters
                .accounts
                .get(&account_key(account))
                .and_then(|meter| meter.wait(lane, now, &self.pauses));
            own.map_or(Ok(()), |wait| Err(GraphError::kept_back(Scope::Account, wait)))
        })
    }

    /// How Meta refused this stored token before, if it did: then no call needs to find out again.
    pub(crate) fn refused(&self, account: &Account, stored_token: &[u8]) -> Option<GraphError> {
        self.with(|meters| {
            let (refused, how) = meters.refused.get(&account_key(account))?;
            (refused == stored_token).then(|| how.clone())
        })
    }

    /// Remembers that Meta refused this stored token; the next one is another.
    pub(crate) fn refuse(&self, account: &Account, stored_token: &[u8], how: &GraphError) {
        self.with(|meters| {
            meters.refused.insert(account_key(account), (stored_token.to_vec(), how.clone()))
        });
    }

    /// Takes a slot of the Conversations API and returns how long to wait for it.
    pub(crate) fn conversations_slot(&self, account: &Account, now: Steady) -> Duration {
        self.with(|meters| {
            meters
                .conversations
                .entry(account_key(account))
                .or_default()
                .take(CONVERSATIONS_EVERY, now)
        })
    }

    /// Learns from an answer; sets `retry_after` of a refusal for a limit.
    pub(crate) fn learn(
        &self,
        account: &Account,
        usage: Usage,
        error: Option<&mut GraphError>,
        now: Steady,
    ) {
        self.with(|meters| {
            let app = meters.apps.entry(app_key(account)).or_default();
            if let Some(percent) = usage.app {
                app.measure(percent, None, now, &self.pauses);
            }
            let own = meters.accounts.entry(account_key(account)).or_default();
            if let Some(percent) = usage.account {
                own.measure(percent, usage.regain, now, &self.pauses);
            }
            match error.as_ref().map(|error| error.class) {
                Some(Class::Limited(scope)) => {
                    let meter = if scope == Scope::App { app } else { own };
                    let pause = meter.refuse(usage.regain, now, &self.pauses);
                    if let Some(error) = error {
                        error.retry_after = Some(pause);
                    }
                }
                // Without an answer nothing was learnt.
                _ if error.as_ref().is_some_and(|error| error.status.is_none()) => {}
                _ => {
                    app.pass();
                    own.pass();
                }
            }
        });
    }

    /// The account's app and for how long its calls are closed, where they are.
    pub(crate) fn app_closed_for(
        &self,
        account: &Account,
        now: Steady,
    ) -> Option<(String, Duration)> {
        let app = app_key(account);
        let closed = self.with(|meters| meters.apps.get(&app)?.closed_for(now))?;
        Some((app, closed))
    }

    /// For how long calls for the account are closed, where they are.
    pub(crate) fn closed_for(&self, account: &Account, now: Steady) -> Option<Duration> {
        self.with(|meters| {
            let app = meters.apps.get(&app_key(account)).and_then(|meter| meter.closed_for(now));
            let own = meters.accounts.get(&account_key(account));
            app.max(own.and_then(|meter| meter.closed_for(now)))
        })
    }
}
