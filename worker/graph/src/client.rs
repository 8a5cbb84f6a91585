//! Making calls: the right host, node and token for an account; one try for writes, a few for reads.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method};
use runtime::retry::Backoff;
use schemas::Timestamp;
use serde_json::Value;
use tracing::Instrument;
use url::Url;

use super::budget::Budget;
use super::call::Call;
use super::clock::Clocks;
use super::config::GraphConfig;
use super::error::{Class, Failure, GraphError, Use};
use super::host::Host;
use super::limits::{Lane, Usage};
use super::proof::appsecret_proof;
use super::response;
use super::timely::Timely;
use facts::accounts::Connected;
use facts::accounts::directory::Account;

/// Tries of a read.
const READ_TRIES: usize = 3;
/// Least pause before the second try.
const READ_PAUSE: Duration = Duration::from_millis(200);
const READ_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The Graph client. Cheap to clone; clones share connections and budget.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    config: GraphConfig,
    app_secrets: RwLock<BTreeMap<String, String>>,
    budget: Budget,
    clocks: Clocks,
}

/// The body of a write.
enum Payload<'a> {
    None,
    Json(&'a Value),
}

impl Graph {
    /// A client for these hosts.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: GraphConfig) -> anyhow::Result<Self> {
        runtime::tls::install();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A write that is repeated below us would be a second effect at Meta.
            .retry(reqwest::retry::never())
            // Within the total time-out, so that a failure to connect is known to be one.
            .connect_timeout(config.timeout / 2)
            .timeout(config.timeout)
            // A connection that was idle for long may be closed on the other side: a send on it would end as unknown.
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("hookline/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let budget = Budget::new(config.pause_min, config.pause_max);
        let app_secrets = RwLock::new(config.app_secrets.clone());
        let clocks = Clocks::default();
        Ok(Self { inner: Arc::new(Inner { http, config, app_secrets, budget, clocks }) })
    }

    /// Uses these app secrets from now on (docs/meta-platform.md 8).
    pub fn set_app_secrets(&self, secrets: BTreeMap<String, String>) {
        *self.inner.app_secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets;
    }

    fn app_secret(&self, account: &Account) -> Option<String> {
        let secrets = self.inner.app_secrets.read().unwrap_or_else(PoisonError::into_inner);
        secrets.get(account.app.as_ref()?).cloned()
    }

    /// Until when calls for the account are closed by a rate limit, where they are: a queue may sleep as long.
    pub fn closed_until(&self, account: &Account, now: Timestamp) -> Option<Timestamp> {
        self.inner.budget.closed_until(account, now)
    }

    /// The account's app and until when all of its calls are closed, where they are, so that the caller can publish it to the other workers.
    pub fn app_closed_until(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Option<(String, Timestamp)> {
        self.inner.budget.app_closed_until(account, now)
    }

    /// Milliseconds that Graph's clock is ahead of this machine's, by its latest answer for an account like this one; negative where it is
    /// behind. `None` before an answer has named its time.
    pub fn clock_ahead(&self, account: &Account) -> Option<i64> {
        self.inner.clocks.ahead(Host::of(account))
    }

    /// The same for every host that has named its time.
    pub fn clocks(&self) -> Vec<(Host, i64)> {
        self.inner.clocks.all()
    }

    /// Whether the budget lets work of this kind call now. A sender asks before it writes its attempt down.
    ///
    /// # Errors
    /// [`Class::Limited`] with the time to wait.
    pub fn allow(&self, account: &Account, lane: Lane, now: Timestamp) -> Result<(), GraphError> {
        self.inner.budget.allow(account, lane, now)
    }

    /// `GET {path}` on the account's host, tried a few times: reads are safe to repeat. `path` holds the parts behind the version.
    ///
    /// # Errors
    /// That of the last try; its class says whether to call again.
    pub async fn get(
        &self,
        connected: &Connected,
        call: Call,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, GraphError> {
        let mut pauses = Backoff::new(2 * READ_PAUSE, READ_PAUSE_MAX);
        for _ in 1..READ_TRIES {
            match self.get_once(connected, call, path, query).await {
                Err(error) if error.class == Class::Retry => {
                    tokio::time::sleep(pauses.next(rand::random())).await;
                }
                done => return done,
            }
        }
        self.get_once(connected, call, path, query).await
    }

    /// `GET {path}`, tried once.
    ///
    /// # Errors
    /// Its class says whether to call again.
    pub async fn get_once(
        &self,
        connected: &Connected,
        call: Call,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, GraphError> {
        self.once(connected, call, Method::GET, path, query, Payload::None).await
    }

    /// `POST {path}` with a JSON body, tried once.
    ///
    /// # Errors
    /// [`Class::Unknown`] whenever it may have taken effect: reconcile before another try.
    pub async fn post(
        &self,
        connected: &Connected,
        call: Call,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, GraphError> {
        self.once(connected, call, Method::POST, path, query, Payload::Json(body)).await
    }

    /// `DELETE {path}`, tried once.
    ///
    /// # Errors
    /// [`Class::Unknown`] whenever it may have taken effect: reconcile before another try.
    pub async fn delete(
        &self,
        connected: &Connected,
        call: Call,
        path: &[&str],
    ) -> Result<Value, GraphError> {
        self.once(connected, call, Method::DELETE, path, &[], Payload::None).await
    }

    async fn once(
        &self,
        connected: &Connected,
        call: Call,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        payload: Payload<'_>,
    ) -> Result<Value, GraphError> {
        let account = &connected.account;
        let span = tracing::info_span!(
            "graph", otel.kind = "client", account.id = %account.id, kind = call.kind, outcome = tracing::field::Empty
        );
        let started = std::time::Instant::now();
        let result = async {
            let (budget, stored) = (&self.inner.budget, connected.stored_token());
            // Others of this account may have been on their way here when the first one was refused.
            if !stored.is_empty()
                && let Some(how) = budget.refused(account, stored)
            {
                return Err(GraphError::refused_before(&how));
            }
            budget.allow(account, call.lane, runtime::now())?;
            if call.paced {
                tokio::time::sleep(budget.conversations_slot(account, runtime::now())).await;
            }
            let (usage, mut result) =
                self.send_request(connected, call, method, path, query, payload).await;
            budget.learn(account, usage, result.as_mut().err(), runtime::now());
            if let Err(error) = &result
                && error.class == Class::Account
            {
                budget.refuse(account, stored, error);
            }
            result
        }
        .instrument(span.clone())
        .await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) if error.failure == Failure::Budget => "kept_back",
            Err(error) => error.class.as_str(),
        };
        span.record("outcome", outcome);
        metrics::counter!("hookline_graph_calls_total", "kind" => call.kind, "outcome" => outcome)
            .increment(1);
        if outcome != "kept_back" {
            metrics::histogram!("hookline_graph_call_seconds", "kind" => call.kind)
                .record(started.elapsed().as_secs_f64());
        }
        result
    }

    async fn send_request(
        &self,
        connected: &Connected,
        call: Call,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        payload: Payload<'_>,
    ) -> (Usage, Result<Value, GraphError>) {
        let config = &self.inner.config;
        let purpose = if method == Method::GET { Use::Read } else { Use::Write };
        let host = Host::of(&connected.account);
        let mut url = self.url(host, call, path);
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(query);
            let secret = self.app_secret(&connected.account);
            if let Some(proof) =
                secret.and_then(|secret| appsecret_proof(&secret, connected.token.expose()))
            {
                pairs.append_pair("appsecret_proof", &proof);
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let mut request =
            self.inner.http.request(method, url).bearer_auth(connected.token.expose());
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout.min(config.timeout));
        }
        if let Payload::Json(body) = payload {
            request = match call.deadline {
                None => request.json(body),
                Some(deadline) => request
                    .header(CONTENT_TYPE, "application/json")
                    .body(Body::wrap(Timely::new(body.to_string().into(), deadline))),
            };
        }
        let asked = runtime::now();
        match request.send().await {
            Err(error) => (Usage::default(), Err(response::failure(&error, purpose))),
            Ok(received) => {
                let headers = received.headers();
                self.inner.clocks.learn(host, headers, asked, runtime::now());
                let usage = response::usage(headers);
                (usage, response::answer(received, purpose).await)
            }
        }
    }

    /// `{host URL}/{version}/{path…}`, each part of the path percent-encoded.
    fn url(&self, host: Host, call: Call, path: &[&str]) -> Url {
        let config = &self.inner.config;
        let mut url = match host {
            Host::Facebook => config.facebook_url.clone(),
            Host::Instagram => config.instagram_url.clone(),
        };
        // `Settings::url` only lets through URLs with a host, which have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            if !call.versionless {
                segments.push(&config.version);
            }
            segments.extend(path);
        }
        url
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
