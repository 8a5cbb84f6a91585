//! The port: one accept loop for Graph and control. Its own, because some answers are to end the connection without a word.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use axum::routing::any;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::control;
use crate::graph::{self, Reset};
use crate::model::Host;
use crate::oauth;
use crate::shared::Shared;

#[derive(Debug, thiserror::Error)]
#[error("a fault asked for this connection to end")]
struct Ended;

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/facebook/{*path}", any(facebook))
        .route("/instagram/{*path}", any(instagram))
        .merge(control::router())
        .merge(oauth::router())
        .with_state(shared)
}

async fn facebook(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().strip_prefix("/facebook").unwrap_or_default().to_owned();
    let query = uri.query().map(str::to_owned);
    graph::handle(shared, Host::Facebook, method, path, query, headers, body).await
}

async fn instagram(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().strip_prefix("/instagram").unwrap_or_default().to_owned();
    let query = uri.query().map(str::to_owned);
    graph::handle(shared, Host::Instagram, method, path, query, headers, body).await
}

/// Accepts until the simulator stops; every connection is a task of the simulator and ends with it.
pub(crate) fn serve(shared: &Arc<Shared>, listener: TcpListener) {
    let router = router(shared.clone());
    let for_task = shared.clone();
    shared.spawn(async move {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("Cannot accept a connection: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            };
            // Small answers go out at once; a socket that refuses the option works without.
            let _ = stream.set_nodelay(true);
            let router = router.clone();
            let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
                let router = router.clone();
                async move {
                    let response = match router.oneshot(request.map(Body::new)).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    };
                    if response.extensions().get::<Reset>().is_some() {
                        return Err(Ended);
                    }
                    Ok(response)
                }
            });
            for_task.spawn(async move {
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!("A connection ended: {error}");
                }
            });
        }
    });
}
