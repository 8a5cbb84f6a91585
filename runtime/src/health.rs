//! Whether a role can do its work, what is missing, and what somebody should change. [`crate::admin`] shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::db;

/// What a role needs in order to be ready, and the reason for everything that is missing. Roles of one process may share a board.
#[derive(Clone, Default)]
pub struct Health {
    board: Arc<Mutex<Board>>,
    role: &'static str,
}

/// A check and the role that it belongs to; the role is empty where all of a process share the check.
type Key = (&'static str, &'static str);

#[derive(Default)]
struct Board {
    checks: BTreeMap<Key, Result<(), String>>,
    warnings: BTreeMap<Key, String>,
}

/// Before the first check.
const STARTING: &str = "it has just started";

impl Health {
    /// No checks yet: not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// The checks of one role of this process, on the same board.
    #[must_use]
    pub fn of(&self, role: &'static str) -> Self {
        Self { board: self.board.clone(), role }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the state of one dependency; the reason includes what to do.
    pub fn set(&self, check: &'static str, state: Result<(), String>) {
        self.board().checks.insert((self.role, check), state);
    }

    /// Records what somebody should change although the role works; `None`: nothing any more. Returns whether this is new.
    pub fn warn(&self, check: &'static str, warning: Option<String>) -> bool {
        let (mut board, key) = (self.board(), (self.role, check));
        match warning {
            None => {
                board.warnings.remove(&key);
                false
            }
            Some(warning) => board.warnings.insert(key, warning.clone()) != Some(warning),
        }
    }

    /// What this role lacks, by check; empty when it is ready.
    pub fn problems(&self) -> BTreeMap<&'static str, String> {
        let board = self.board();
        if board.checks.is_empty() {
            return BTreeMap::from([("start", STARTING.to_owned())]);
        }
        let own = board.checks.iter().filter(|((role, _), _)| *role == self.role);
        let missing = |((_, check), state): (&Key, &Result<(), String>)| {
            Some((*check, state.as_ref().err()?.clone()))
        };
        own.filter_map(missing).collect()
    }

    /// What all roles of the board lack.
    pub fn problems_of_all(&self) -> BTreeMap<String, String> {
        let board = self.board();
        if board.checks.is_empty() {
            return BTreeMap::from([("start".to_owned(), STARTING.to_owned())]);
        }
        let missing = |(key, state): (&Key, &Result<(), String>)| {
            Some((shown(*key), state.as_ref().err()?.clone()))
        };
        board.checks.iter().filter_map(missing).collect()
    }

    /// What somebody should change, of all roles of the board.
    pub fn warnings_of_all(&self) -> BTreeMap<String, String> {
        let board = self.board();
        board.warnings.iter().map(|(key, text)| (shown(*key), text.clone())).collect()
    }
}

fn shown((role, check): Key) -> String {
    if role.is_empty() { check.to_owned() } else { format!("{role} {check}") }
}

/// Keeps the check `nats` up to date from the broker's state; `durable`: the role must not run on a broker that is not durable.
pub fn watch_broker(health: &Health, broker: &Broker, shutdown: CancellationToken) {
    let (health, broker) = (health.clone(), broker.clone());
    health.set("nats", Err("not connected yet".to_owned()));
    tokio::spawn(async move {
        let mut state = broker.watch();
        loop {
            health.set("nats", broker.accepts());
            health.set("room", broker.full().map_or(Ok(()), Err));
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = state.changed() => if changed.is_err() { return },
                // The client notices a lost connection before the upkeep does.
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
            }
        }
    });
}

/// Keeps the check `postgres` up to date by asking every second, and warns of settings under which a crash loses what is committed.
pub fn watch_postgres(health: &Health, pool: &PgPool, shutdown: CancellationToken) {
    let (health, pool) = (health.clone(), pool.clone());
    health.set("postgres", Err("not connected yet".to_owned()));
    tokio::spawn(async move {
        loop {
            let asked = tokio::time::timeout(Duration::from_secs(2), db::pg_settings(&pool)).await;
            let state = match asked.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(settings) => {
                    warn_of(&health, &settings);
                    if settings.read_only {
                        Err("Postgres is read-only: is this a standby, or is default_transaction_read_only set?".to_owned())
                    } else {
                        Ok(())
                    }
                }
                // The pool goes on trying for longer.
                Err(error) => match db::refusal(&pool, error).await {
                    sqlx::Error::PoolTimedOut => Err("Postgres does not answer in time".to_owned()),
                    error => Err(format!("Postgres does not answer: {}", short(&error))),
                },
            };
            health.set("postgres", state);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    });
}

fn warn_of(health: &Health, settings: &db::PgSettings) {
    let risks = settings.risks();
    let warning = risks.iter().map(|risk| format!("{risk} ({})", risk.fix));
    let warning = warning.collect::<Vec<_>>().join("; ");
    let warning = (!warning.is_empty()).then_some(warning);
    if health.warn("postgres durability", warning.clone())
        && let Some(warning) = warning
    {
        tracing::warn!("Postgres is not as durable as it should be: {warning}");
    }
}

/// What Postgres says to those that it does not let in: names of roles and databases, nothing of what is stored.
fn at_the_door(code: &str) -> bool {
    matches!(code, "53300" | "57P03" | "3D000") || code.starts_with("28")
}

/// A database error without addresses or statements.
fn short(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) if error.code().is_some_and(|code| at_the_door(&code)) => {
            error.message().to_owned()
        }
        sqlx::Error::Database(error) => {
            error.code().map_or_else(|| "refused".to_owned(), |code| format!("error {code}"))
        }
        sqlx::Error::Io(_) => "no connection".to_owned(),
        _ => "no connection".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_share_a_board_and_each_is_ready_by_its_own_checks() {
        let all = Health::new();
        assert!(!all.problems().is_empty() && !all.problems_of_all().is_empty(), "no check yet");
        let (ingest, api) = (all.of("ingest"), all.of("api"));
        ingest.set("nats", Err("away".to_owned()));
        api.set("nats", Ok(()));
        assert!(api.warn("postgres durability", Some("fsync".to_owned())));
        assert!(api.problems().is_empty() && all.problems().is_empty());
        assert_eq!(ingest.problems()["nats"], "away");
        assert_eq!(
            api.problems_of_all(),
            BTreeMap::from([("ingest nats".to_owned(), "away".to_owned())])
        );
        let warnings = ingest.warnings_of_all();
        assert_eq!(warnings.into_keys().collect::<Vec<_>>(), ["api postgres durability"]);
    }
}
