//! The rate budget: one meter per app and per account, consulted before each call, fed by each answer and by what other workers learnt.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime::steady::Steady;
use runtime::waits;
use schemas::Channel;

use super::error::{Class, GraphError, Scope};
use super::limits::{Lane, Meter, Pace, Pauses, Usage};
use super::shared::Figure;
use facts::accounts::directory::Account;

type AccountKey = (Channel, String);

/// Meters of apps and accounts.
#[derive(Debug)]
pub(crate) struct Budget {
    pauses: Pauses,
    meters: Mutex<Meters>,
}

#[derive(Debug, Default)]
struct Meters {
    /// By scope, as `worker.graph_budget` names it: one for each app and each account.
    of_scope: HashMap<String, Meter>,
    conversations: HashMap<AccountKey, Pace>,
    /// Scopes whose meters have learnt something that the other workers do not know.
    changed: BTreeSet<String>,
    /// By account, the stored token that Meta refused last, and how.
    refused: HashMap<AccountKey, (Vec<u8>, GraphError)>,
}

/// Accounts without a named app share one per kind of login: Meta counts per app, and a company has mostly one of each.
fn app_key(account: &Account) -> String {
    account.app.clone().unwrap_or_else(|| format!("login:{}", account.login.as_str()))
}

/// As `worker.graph_budget` names an app.
fn app_scope(account: &Account) -> String {
    format!("app:{}", app_key(account))
}

fn account_key(account: &Account) -> AccountKey {
    (account.channel, account.id.as_str().to_owned())
}

/// As `worker.graph_budget` names an account.
pub(crate) fn account_scope(account: &Account) -> String {
    format!("account:{}/{}", account.channel, account.id)
}

impl Meters {
    fn wait(&self, scope: &str, lane: Lane, now: Steady, pauses: &Pauses) -> Option<Duration> {
        self.of_scope.get(scope)?.wait(lane, now, pauses)
    }

    fn closed_for(&self, scope: &str, now: Steady) -> Option<Duration> {
        self.of_scope.get(scope)?.closed_for(now)
    }

    fn meter(&mut self, scope: &str) -> &mut Meter {
        self.of_scope.entry(scope.to_owned()).or_default()
    }
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
            for (scope, name) in
                [(Scope::App, app_scope(account)), (Scope::Account, account_scope(account))]
            {
                if let Some(wait) = meters.wait(&name, lane, now, &self.pauses) {
                    return Err(GraphError::kept_back(scope, wait));
                }
            }
            Ok(())
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

    /// Takes a slot of the Conversations API and returns how long to wait for it: of a process that works alone.
    pub(crate) fn conversations_slot(&self, account: &Account, now: Steady) -> Duration {
        self.with(|meters| {
            meters
                .conversations
                .entry(account_key(account))
                .or_default()
                .take(waits::CONVERSATIONS.get(), now)
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
            let (app, own) = (app_scope(account), account_scope(account));
            let class = error.as_ref().map(|error| error.class);
            let limited = matches!(class, Some(Class::Limited(_)));
            if limited || usage != Usage::default() {
                meters.changed.extend([app.clone(), own.clone()]);
            }
            if let Some(percent) = usage.app {
                meters.meter(&app).measure(percent, None, now, &self.pauses);
            }
            if let Some(percent) = usage.account {
                meters.meter(&own).measure(percent, usage.regain, now, &self.pauses);
            }
            match class {
                Some(Class::Limited(scope)) => {
                    let name = if scope == Scope::App { &app } else { &own };
                    let pause = meters.meter(name).refuse(usage.regain, now, &self.pauses);
                    if let Some(error) = error {
                        error.retry_after = Some(pause);
                    }
                }
                // Without an answer nothing was learnt.
                _ if error.as_ref().is_some_and(|error| error.status.is_none()) => {}
                _ => {
                    meters.meter(&app).pass();
                    meters.meter(&own).pass();
                }
            }
        });
    }

    /// For how long a figure says something.
    pub(crate) const fn measured_for(&self) -> Duration {
        self.pauses.measured_for
    }

    /// What was learnt since the last call, for the other workers.
    pub(crate) fn changed(&self, now: Steady) -> Vec<Figure> {
        self.with(|meters| {
            let changed = std::mem::take(&mut meters.changed);
            let figure = |scope: String| {
                let (measured, closed_until) = meters.of_scope.get(&scope)?.figures();
                let closed = closed_until.filter(|until| now < *until);
                Some(Figure {
                    scope,
                    percent: measured
                        .map(|(percent, _)| i32::try_from(percent).unwrap_or(i32::MAX)),
                    measured_ms_ago: measured.map(|(_, at)| millis(now.since(at))),
                    closed_for_ms: closed.map(|until| millis(until.since(now))),
                })
            };
            changed.into_iter().filter_map(figure).collect()
        })
    }

    /// They do not know it yet.
    pub(crate) fn not_shared(&self, figures: Vec<Figure>) {
        self.with(|meters| meters.changed.extend(figures.into_iter().map(|figure| figure.scope)));
    }

    /// Takes in what the other workers know.
    pub(crate) fn adopt(&self, figures: &[Figure], now: Steady) {
        let span = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.with(|meters| {
            for figure in figures {
                // A newer release may share more.
                if !["app:", "account:"].iter().any(|kind| figure.scope.starts_with(kind)) {
                    continue;
                }
                let measured = figure.percent.zip(figure.measured_ms_ago).map(|(percent, ago)| {
                    (u32::try_from(percent).unwrap_or(0), now.minus(span(ago)))
                });
                let closed_until = figure.closed_for_ms.map(|ms| now.plus(span(ms)));
                meters.meter(&figure.scope).adopt(measured, closed_until);
            }
        });
    }

    /// The account's app and for how long its calls are closed, where they are.
    pub(crate) fn app_closed_for(
        &self,
        account: &Account,
        now: Steady,
    ) -> Option<(String, Duration)> {
        let closed = self.with(|meters| meters.closed_for(&app_scope(account), now))?;
        Some((app_key(account), closed))
    }

    /// For how long calls for the account are closed, where they are.
    pub(crate) fn closed_for(&self, account: &Account, now: Steady) -> Option<Duration> {
        self.with(|meters| {
            let app = meters.closed_for(&app_scope(account), now);
            app.max(meters.closed_for(&account_scope(account), now))
        })
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use schemas::Channel;

    use super::*;
    use facts::accounts::directory::Login;

    fn account(id: &str) -> Account {
        Account {
            channel: Channel::Instagram,
            id: id.into(),
            login: Login::Instagram,
            app: Some("main".to_owned()),
            page_id: None,
            handle: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    fn at(seconds: u64) -> Steady {
        Steady::after(Duration::from_secs(10_000 + seconds))
    }

    #[test]
    fn what_one_worker_learns_keeps_the_others_back() {
        let budget = || Budget::new(Duration::from_secs(1), Duration::from_secs(600));
        let (one, other) = (budget(), budget());
        let (busy, calm) = (account("1"), account("2"));
        let usage = |percent| Usage { account: Some(percent), ..Usage::default() };
        one.learn(&busy, usage(70), None, at(0));
        assert!(other.allow(&busy, Lane::Enrich, at(1)).is_ok());
        // The clock of the other process has another origin.
        let there = |seconds: u64| Steady::after(Duration::from_secs(500 + seconds));
        let learnt = one.changed(at(1));
        other.adopt(&learnt, there(1));
        assert!(other.allow(&busy, Lane::Enrich, there(1)).is_err());
        assert!(other.allow(&busy, Lane::Reply, there(1)).is_ok());
        assert!(other.allow(&calm, Lane::Enrich, there(1)).is_ok());
        // A figure of its own that is newer counts; what is closed stays so.
        other.learn(&busy, usage(10), None, there(2));
        other.adopt(&learnt, there(3));
        assert!(other.allow(&busy, Lane::Enrich, there(3)).is_ok());
        let mut limited = GraphError::kept_back(Scope::App, Duration::from_secs(1));
        limited.class = Class::Limited(Scope::App);
        one.learn(&busy, Usage::default(), Some(&mut limited), at(2));
        let learnt = one.changed(at(2));
        other.adopt(&learnt, there(4));
        assert!(other.allow(&calm, Lane::Reply, there(4)).is_err(), "the app's calls are closed");
        assert!(one.changed(at(3)).is_empty(), "nothing is shared twice");
        one.not_shared(learnt);
        assert!(!one.changed(at(3)).is_empty());
    }
}
