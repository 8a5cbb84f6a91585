//! `/livez`, `/readyz` and `/metrics` of every role.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::db;

/// What a role needs in order to be ready, and the reason for everything that is missing.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
    warnings: Arc<Mutex<BTreeMap<&'static str, String>>>,
    hides_warnings: bool,
}

impl Health {
    /// No checks yet: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for a door that strangers reach: its answer has no warnings.
    pub fn at_door() -> Self {
        Self { hides_warnings: true, ..Self::default() }
    }

    /// Records the state of one dependency; the reason includes what to do.
    pub fn set(&self, check: &'static str, state: Result<(), String>) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(check, state);
    }

    /// Records what somebody should change although the role works; `None`: nothing any more. Returns whether this is new.
    pub fn warn(&self, check: &'static str, warning: Option<String>) -> bool {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        match warning {
            None => {
                warnings.remove(check);
                false
            }
            Some(warning) => warnings.insert(check, warning.clone()) != Some(warning),
        }
    }

    /// What is missing, by check; empty when ready.
    pub fn problems(&self) -> BTreeMap<&'static str, String> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks
            .iter()
            .filter_map(|(name, state)| state.as_ref().err().map(|reason| (*name, reason.clone())))
            .collect()
    }

    /// `/livez`, `/readyz` and `/metrics`.
    pub fn router(&self, metrics: metrics_exporter_prometheus::PrometheusHandle) -> Router {
        let health = self.clone();
        Router::new()
            .route("/livez", get(|| async { Json(json!({"status": "ok"})) }))
            .route("/readyz", get(move || async move { health.answer() }))
            .route(
                "/metrics",
                get(move || async move {
                    (
                        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
                        metrics.render(),
                    )
                }),
            )
    }

    fn answer(&self) -> Response {
        let problems = self.problems();
        let mut answer = json!({"status": if problems.is_empty() { "ready" } else { "not_ready" }});
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.is_empty() && !self.hides_warnings {
            answer["warnings"] = json!(*warnings);
        }
        if problems.is_empty() {
            return Json(answer).into_response();
        }
        answer["reasons"] = json!(problems);
        (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
    }
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
