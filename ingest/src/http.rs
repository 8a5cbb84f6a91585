//! The three paths of Meta's webhooks, and the order in which a request is checked.
//!
//! Path and method, size, signature over the raw bytes, broker, room, durable ack. An unsigned request learns nothing about the
//! broker and is not kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use metrics::counter;
use runtime::config::PublicUrl;
use runtime::reload::Current;
use runtime::telemetry;
use schemas::raw::RawPath;
use schemas::subjects;
use sha2::{Digest, Sha256};
use tracing::Instrument;

use crate::body::{CALLBACK_MAX, Reader, linger};
use crate::callback::Forged;
use crate::config::Config;
use crate::error::Refused;
use crate::log_limit::LogLimit;
use crate::meters::{self, Meters};
use crate::queue::Key;
use crate::secrets::Secrets;
use crate::signature::{self, Rejection, Signature};
use crate::store::{STORE_WITHIN, Store};
use crate::webhook::Webhook;
use crate::{handshake, scan};

/// Larger bodies are hashed where they hold up nobody.
const HASH_IN_PLACE_MAX_BYTES: usize = 256 << 10;

/// What the door needs.
pub(crate) struct Door {
    config: Config,
    reader: Reader,
    callback_reader: Reader,
    secrets: Current<Secrets>,
    store: Store,
    meters: Arc<Meters>,
    rejections: Mutex<LogLimit>,
}

impl Door {
    /// A door in front of `store`.
    pub(crate) fn new(
        config: Config,
        secrets: Current<Secrets>,
        store: Store,
        meters: Arc<Meters>,
    ) -> Arc<Self> {
        let reader = Reader::new(config.max_body);
        let callback_reader = Reader::new(CALLBACK_MAX);
        let rejections = Mutex::default();
        Arc::new(Self { config, reader, callback_reader, secrets, store, meters, rejections })
    }

    pub(crate) fn secrets(&self) -> Arc<Secrets> {
        self.secrets.get()
    }

    pub(crate) const fn callback_reader(&self) -> &Reader {
        &self.callback_reader
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// `PUBLIC_URL`
    pub(crate) const fn public_url(&self) -> Option<&PublicUrl> {
        self.config.public_url.as_ref()
    }

    /// Counts a callback that is not Meta's.
    pub(crate) fn forged(&self, forged: Forged) -> Refused {
        let reason = forged.as_str();
        counter!("hookline_ingest_callbacks_refused_total", "reason" => reason).increment(1);
        if self.may_complain().is_some() {
            tracing::warn!(
                reason,
                "Refused a callback that is not Meta's: is META_APP_SECRETS complete?"
            );
        }
        forged.into()
    }

    /// How many complaints were kept back since the last one, where one may be logged now.
    fn may_complain(&self) -> Option<u64> {
        self.rejections.lock().unwrap_or_else(PoisonError::into_inner).allow(Instant::now())
    }

    /// The three paths; everything else is refused.
    pub(crate) fn router(self: Arc<Self>) -> Router {
        [RawPath::Any, RawPath::Instagram, RawPath::Facebook]
            .into_iter()
            .fold(Router::new(), |router, path| {
                let at = move |State(door): State<Arc<Self>>, request: Request| {
                    door.answer(path, request)
                };
                router.route(path.http_path(), any(at))
            })
            .fallback(nothing_here)
            .with_state(self)
    }

    async fn answer(self: Arc<Self>, path: RawPath, request: Request) -> Response {
        let _in_flight = InFlight::enter(&self.meters);
        let started = Instant::now();
        let outcome = match *request.method() {
            Method::GET => self.answer_handshake(request.uri()),
            Method::POST => {
                self.receive(path, request).await.map(|()| StatusCode::OK.into_response())
            }
            _ => {
                let (parts, body) = request.into_parts();
                linger(&parts.headers, body);
                Err(Refused::Method)
            }
        };
        let response = outcome.unwrap_or_else(IntoResponse::into_response);
        let status = response.status().as_u16();
        self.meters.answered(status, path);
        tracing::debug!(
            path = path.as_str(),
            status,
            took_ms = started.elapsed().as_millis(),
            "Answered a request"
        );
        response
    }

    fn answer_handshake(&self, uri: &Uri) -> Result<Response, Refused> {
        let challenge =
            handshake::answer(uri.query().unwrap_or_default(), &self.secrets().verify_tokens)
                .inspect_err(|refusal| tracing::warn!(%refusal, "Refused a handshake"))?;
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        Ok((headers, challenge).into_response())
    }

    async fn receive(self: &Arc<Self>, path: RawPath, request: Request) -> Result<(), Refused> {
        let (parts, body) = request.into_parts();
        if self.reader.announces_too_large(&body) {
            linger(&parts.headers, body);
            return Err(self.reader.too_large());
        }
        // Without a signature nothing in the body can help, so it is not even kept.
        let signature = match read_signature(&parts.headers, self.config.accept_sha1) {
            Ok(signature) => signature,
            Err(rejection) => {
                linger(&parts.headers, body);
                return Err(self.rejected(rejection, "unread"));
            }
        };
        let whole = self.reader.read(&parts.headers, body).await?;
        let (deadline, received_at) = (Instant::now() + STORE_WITHIN, runtime::now());
        #[allow(clippy::cast_precision_loss)] // at most 60 MiB
        self.meters.body_bytes.record(whole.bytes.len() as f64);
        let (secret, key) = self
            .examine(whole.bytes.clone(), signature)
            .await
            .map_err(|rejection| self.rejected(rejection, scan::object_class(&whole.bytes)))?;
        self.meters.signature_right.increment(1);

        let shard = subjects::shard(&scan::first_entry_id(&whole.bytes).unwrap_or_default());
        let webhook = |traceparent| Webhook {
            key,
            path,
            shard,
            received_at,
            secret: secret.clone(),
            traceparent,
            body: whole.bytes.clone(),
        };
        if !telemetry::wants_spans() {
            return self.keep(webhook(telemetry::new_traceparent()), deadline).await;
        }
        // A new trace: nobody outside may choose ours.
        let span = tracing::info_span!(parent: None, "receive webhook", path = path.as_str(), shard, secret, bytes = whole.bytes.len());
        let traced = span.in_scope(telemetry::traceparent);
        let webhook = webhook(traced.unwrap_or_else(telemetry::new_traceparent));
        self.keep(webhook, deadline).instrument(span).await
    }

    async fn keep(&self, webhook: Webhook, deadline: Instant) -> Result<(), Refused> {
        let shard = webhook.shard;
        let stored = self.store.store(webhook, deadline).await?;
        tracing::debug!(
            sequence = stored.sequence,
            duplicate = stored.duplicate,
            shard,
            "Stored a webhook"
        );
        Ok(())
    }

    /// The name of the secret that signed the body, and the body's key.
    async fn examine(
        self: &Arc<Self>,
        body: Bytes,
        signature: Signature,
    ) -> Result<(String, Key), Rejection> {
        let examine = move |door: &Self, body: &[u8]| {
            let name = door.secrets().apps.verify(body, &signature)?.to_owned();
            Ok((name, Key::from(Sha256::digest(body))))
        };
        if body.len() <= HASH_IN_PLACE_MAX_BYTES {
            return examine(self, &body);
        }
        let door = self.clone();
        // It fails only while the process ends.
        tokio::task::spawn_blocking(move || examine(&door, &body))
            .await
            .unwrap_or(Err(Rejection::Wrong))
    }

    fn rejected(&self, rejection: Rejection, object: &'static str) -> Refused {
        counter!("hookline_ingest_signature_total", "result" => rejection.as_str()).increment(1);
        if let Some(kept_back) = self.may_complain() {
            let reason = rejection.as_str();
            tracing::warn!(
                reason,
                object,
                kept_back,
                "Refused an unsigned or forged webhook: is META_APP_SECRETS complete?"
            );
        }
        rejection.into()
    }
}

async fn nothing_here(request: Request<Body>) -> Refused {
    let (parts, body) = request.into_parts();
    linger(&parts.headers, body);
    meters::requests(Refused::Path.status().as_u16().to_string(), "other").increment(1);
    Refused::Path
}

fn read_signature(headers: &HeaderMap, accept_sha1: bool) -> Result<Signature, Rejection> {
    let values = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    signature::read(values(signature::SHA256_HEADER), values(signature::SHA1_HEADER), accept_sha1)
}

/// Counts the requests inside, also those whose client goes away.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn enter(meters: &Meters) -> Self {
        meters.inflight.increment(1);
        Self(meters.inflight.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
