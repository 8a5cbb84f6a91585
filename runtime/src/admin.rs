//! What a role answers about itself: at a door that strangers reach a status only; reasons, warnings and metrics on `ADMIN_LISTEN`.

use std::io::ErrorKind;
use std::net::SocketAddr;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, Settings};
use crate::health::Health;
use crate::{BoxFuture, serve, telemetry};

/// The variable.
pub const LISTEN: &str = "ADMIN_LISTEN";

/// `ADMIN_LISTEN`, `127.0.0.1:8082` unless set.
///
/// # Errors
/// Names the variable where it is no address.
pub fn address(settings: &Settings) -> Result<SocketAddr, ConfigError> {
    settings.address(LISTEN, "127.0.0.1:8082")
}

/// `/livez` and `/readyz` of a door that strangers reach: a status and nothing else.
pub fn at_door(health: &Health) -> Router {
    let health = health.clone();
    let readyz = get(move || async move { answer(health.problems().is_empty(), |_| {}) });
    Router::new().route("/livez", livez()).route("/readyz", readyz)
}

/// `/livez`, `/readyz` with everything that is missing and everything somebody should change, and `/metrics`: of all roles that share `health`.
pub fn router(health: &Health) -> Router {
    let (health, scraped) = (health.clone(), health.clone());
    // From here on everything is counted.
    let metrics = telemetry::metrics_handle();
    let readyz = get(move || async move {
        let (problems, warnings) = (health.problems_of_all(), health.warnings_of_all());
        answer(problems.is_empty(), |body| {
            if !warnings.is_empty() {
                body["warnings"] = json!(warnings);
            }
            if !problems.is_empty() {
                body["reasons"] = json!(problems);
            }
        })
    });
    let shown = get(move || async move {
        let text = rendered(&scraped, &metrics);
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
    });
    Router::new().route("/livez", livez()).route("/readyz", readyz).route("/metrics", shown)
}

/// All metrics; whether the roles are ready is looked at now.
fn rendered(health: &Health, metrics: &PrometheusHandle) -> String {
    let ready = health.problems_of_all().is_empty();
    metrics::gauge!("hookline_ready").set(f64::from(u8::from(ready)));
    metrics.render()
}

fn livez() -> axum::routing::MethodRouter {
    get(|| async { Json(json!({"status": "ok"})) })
}

fn answer(ready: bool, more: impl FnOnce(&mut Value)) -> Response {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({"status": if ready { "ready" } else { "not_ready" }});
    more(&mut body);
    (status, Json(body)).into_response()
}

/// Listens for operators and monitoring. `None`: the address is taken, as by another role on this machine, and the role goes on without.
///
/// # Errors
/// Names the variable and an address that is none of this machine's, or that it may not use.
pub async fn listen(address: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            tracing::warn!(
                %address,
                "{LISTEN}: {address} is taken, so this process shows no reasons and no metrics; give it an address of its own"
            );
            Ok(None)
        }
        Err(error) => Err(anyhow::anyhow!(
            "{LISTEN}: cannot listen on {address}: {error}; choose an address of this machine"
        )),
    }
}

/// Does the work of a role, and answers at `address` until it ends or `shutdown` comes.
///
/// # Errors
/// As [`listen`], and those of the work.
pub fn beside(
    address: SocketAddr,
    health: &Health,
    shutdown: &CancellationToken,
    work: BoxFuture<'static, anyhow::Result<()>>,
) -> BoxFuture<'static, anyhow::Result<()>> {
    let (router, stop) = (router(health), shutdown.child_token());
    Box::pin(async move {
        let served = listen(address).await?.map(|listener| {
            tokio::spawn(serve::serve(listener, router, serve::Limits::default(), stop.clone()))
        });
        let outcome = work.await;
        stop.cancel();
        if let Some(served) = served {
            let _ = served.await;
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_say_whether_the_roles_are_ready_and_what_each_means() {
        telemetry::metrics_handle();
        let health = Health::new();
        let metrics = telemetry::metrics_handle();
        assert!(
            rendered(&health, &metrics).contains("\nhookline_ready 0\n"),
            "it has just started"
        );
        health.set("nats", Ok(()));
        let text = rendered(&health, &metrics);
        assert!(text.contains("\nhookline_ready 1\n"), "{text}");
        assert!(text.contains("# HELP hookline_ready 1 where `/readyz` answers 200"), "{text}");
        health.set("nats", Err("not connected yet".to_owned()));
        assert!(rendered(&health, &metrics).contains("\nhookline_ready 0\n"), "{text}");
    }

    #[tokio::test]
    async fn a_taken_address_is_gone_on_without_and_one_of_another_machine_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let health = Health::new();
        let work = Box::pin(async { Ok(()) });
        beside(address, &health, &CancellationToken::new(), work).await.unwrap();
        drop(taken);
        assert!(listen(address).await.unwrap().is_some());
        let error = listen("192.0.2.1:8082".parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.starts_with(LISTEN) && error.contains("192.0.2.1:8082"), "{error}");
    }
}
