//! An OpenTelemetry collector that remembers what it is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;

use crate::client::eventually;

/// Takes traces by OTLP over HTTP.
pub struct Collector {
    address: std::net::SocketAddr,
    bodies: Bodies,
}

type Bodies = Arc<Mutex<Vec<Bytes>>>;

/// A span as it arrived.
#[derive(Clone, Debug, Default)]
struct Span {
    service: String,
    name: String,
    /// Hexadecimal.
    trace: String,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        let bodies = Bodies::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(bodies.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, bodies }
    }

    /// One that accepts connections and never says a word.
    pub async fn silent() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Self { address, bodies: Bodies::default() }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for a span of a service in a trace.
    pub async fn saw(&self, service: &str, name: &str, trace: &str) {
        eventually(
            &format!("span `{name}` of {service} in trace {trace}"),
            Duration::from_secs(20),
            async || {
                let spans = self.spans();
                let found = spans.iter().any(|span| {
                    span.service == service && span.name == name && span.trace == trace
                });
                let of_trace: Vec<&Span> =
                    spans.iter().filter(|span| span.trace == trace).collect();
                if found { Ok(()) } else { Err(format!("{of_trace:?}")) }
            },
        )
        .await;
    }

    /// Whether a text is anywhere in what was sent.
    pub fn anything_contains(&self, text: &str) -> bool {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.iter().any(|body| body.windows(text.len()).any(|part| part == text.as_bytes()))
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.iter().flat_map(|body| read(body)).collect()
    }
}

async fn take(State(bodies): State<Bodies>, body: Bytes) {
    bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
}

/// The spans of an `ExportTraceServiceRequest`.
fn read(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in fields(request, 1) {
        let attributes = fields(resource_spans, 1).flat_map(|resource| fields(resource, 1));
        let service = attributes
            .filter(|pair| fields(pair, 1).any(|key| key == b"service.name"))
            .flat_map(|pair| fields(pair, 2))
            .flat_map(|value| fields(value, 1))
            .map(text)
            .collect::<String>();
        for span in fields(resource_spans, 2).flat_map(|scope_spans| fields(scope_spans, 2)) {
            spans.push(Span {
                service: service.clone(),
                name: fields(span, 5).map(text).collect(),
                trace: fields(span, 1).map(hex::encode).collect(),
            });
        }
    }
    spans
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The fields with this number and a length, of a Protocol Buffers message.
fn fields(mut message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            other => panic!("no wire type of Protocol Buffers: {other}"),
        };
        let (value, rest) = message.split_at(length);
        if key >> 3 == number {
            found.push(value);
        }
        message = rest;
    }
    found.into_iter()
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = message.split_first().unwrap();
        *message = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}
