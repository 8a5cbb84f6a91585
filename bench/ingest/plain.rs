//! The plain handler that hookline is measured against, as anybody would write it.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::webhook::SECRET;

/// The argument that makes this program the plain handler.
pub(crate) const WORD: &str = "plain-handler";

type App = (Hmac<Sha256>, async_nats::jetstream::Context, &'static str);

async fn webhook(
    State((key, js, subject)): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|value| hex::decode(value.strip_prefix("sha256=")?).ok());
    let right = signature.map(|given| key.chain_update(&body).verify_slice(&given));
    let Some(Ok(())) = right else { return StatusCode::UNAUTHORIZED };
    let stored = async { js.publish(subject, body).await?.await };
    if stored.await.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Serves at `BENCH_LISTEN`, publishes on `subject` to the broker at `NATS_URL`.
pub(crate) async fn serve(subject: &'static str) {
    let url: async_nats::ServerAddr = std::env::var("NATS_URL").unwrap().parse().unwrap();
    let (user, password) = (url.username().unwrap().to_owned(), url.password().unwrap().to_owned());
    let options = async_nats::ConnectOptions::with_user_and_password(user, password);
    let js = async_nats::jetstream::new(options.connect(&url).await.unwrap());
    let config = async_nats::jetstream::stream::Config {
        name: "PLAIN".to_owned(),
        subjects: vec![subject.to_owned()],
        ..Default::default()
    };
    js.create_stream(config).await.unwrap();
    let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let router = axum::Router::new()
        .route("/webhook", axum::routing::post(webhook))
        .with_state((key, js, subject));
    let address = std::env::var("BENCH_LISTEN").unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}
