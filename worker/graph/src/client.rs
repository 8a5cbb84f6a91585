//! Making calls: the right host, node and token for an account; one try for writes, a few for reads.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method};
use runtime::db::within;
use runtime::retry::Backoff;
use runtime::steady::Steady;
use runtime::waits;
use serde_json::Value;
use sqlx::PgPool;
use tracing::Instrument;
use url::Url;

use super::budget::{Budget, account_scope};
use super::call::Call;
use super::clock::{Clocks, HostClock};
use super::config::GraphConfig;
use super::error::{Class, Failure, GraphError, Scope, Use};
use super::host::Host;
use super::limits::{Lane, Usage};
use super::proof::appsecret_proof;
use super::response;
use super::shared;
use super::timely::Timely;
use facts::accounts::directory::Account;
use facts::accounts::{Connected, Token};

/// Tries of a read.
const READ_TRIES: usize = 3;
/// Least pause before the second try.
const READ_PAUSE: Duration = Duration::from_millis(200);
const READ_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long it may take to take a slot; then the call is tried again as much later.
const SLOT_WITHIN: Duration = Duration::from_secs(2);

/// The Graph client. Cheap to clone; clones share connections and budget.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    config: GraphConfig,
    budget: Budget,
    clocks: Clocks,
    /// Of a worker: where the budget of all workers is.
    pool: Option<PgPool>,
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
        Self::with(config, None)
    }

    /// A client that shares the pace of its calls with the other workers of a database, and their budget while [`Graph::share_budget`] runs.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn of_worker(config: GraphConfig, pool: PgPool) -> anyhow::Result<Self> {
        Self::with(config, Some(pool))
    }

    fn with(config: GraphConfig, pool: Option<PgPool>) -> anyhow::Result<Self> {
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
        let clocks = Clocks::default();
        Ok(Self { inner: Arc::new(Inner { http, config, budget, clocks, pool }) })
    }

    /// The secret of the app of this name, by `META_APP_SECRETS`.
    pub fn app_secret(&self, app: &str) -> Option<Token> {
        self.inner.config.app_secret(app)
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// How long to wait for the next slot of the Conversations API. Where it cannot be shared, nobody calls.
    async fn slot(&self, account: &Account) -> Result<Duration, GraphError> {
        let Some(pool) = &self.inner.pool else {
            return Ok(self.inner.budget.conversations_slot(account, Steady::now()));
        };
        let scope = account_scope(account);
        let slot = shared::take_slot(pool, &scope, waits::CONVERSATIONS.get(), SLOT_WITHIN);
        let taken = within(SLOT_WITHIN, slot).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "No slot of the Conversations API can be taken now");
            None
        });
        taken.ok_or_else(|| GraphError::kept_back(Scope::Account, SLOT_WITHIN))
    }

    /// For how long calls for the account are closed by a rate limit, where they are: a queue may sleep as long.
    pub fn closed_for(&self, account: &Account) -> Option<Duration> {
        self.inner.budget.closed_for(account, Steady::now())
    }

    /// The account's app and for how long all of its calls are closed, where they are, so that the caller can publish it to the other workers.
    pub fn app_closed_for(&self, account: &Account) -> Option<(String, Duration)> {
        self.inner.budget.app_closed_for(account, Steady::now())
    }

    /// Graph's clock, by its latest answer for an account like this one. `None` before an answer has named its time.
    pub fn clock(&self, account: &Account) -> Option<HostClock> {
        self.inner.clocks.of(Host::of(account))
    }

    /// The same for every host that has named its time.
    pub fn clocks(&self) -> Vec<(Host, HostClock)> {
        self.inner.clocks.all()
    }

    /// Whether the budget lets work of this kind call now. A sender asks before it writes its attempt down.
    ///
    /// # Errors
    /// [`Class::Limited`] with the time to wait.
    pub fn allow(&self, account: &Account, lane: Lane) -> Result<(), GraphError> {
        self.inner.budget.allow(account, lane, Steady::now())
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
            budget.allow(account, call.lane, Steady::now())?;
            if call.paced {
                tokio::time::sleep(self.slot(account).await?).await;
            }
            let (usage, mut result) =
                self.send_request(connected, call, method, path, query, payload).await;
            budget.learn(account, usage, result.as_mut().err(), Steady::now());
            if let Err(error) = &result
                && error.class == Class::Account
                && !call.no_verdict
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
        let version = (!call.versionless).then_some(self.inner.config.version.as_str());
        let mut url = self.url_at(host, version, path);
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(query);
            let secret = connected.account.app.as_ref().and_then(|app| self.app_secret(app));
            if let Some(proof) =
                secret.and_then(|secret| appsecret_proof(secret.expose(), connected.token.expose()))
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
        let asked = Steady::now();
        match request.send().await {
            Err(error) => (Usage::default(), Err(response::failure(&error, purpose))),
            Ok(received) => {
                let headers = received.headers();
                self.inner.clocks.learn(host, headers, asked, Steady::now());
                let usage = response::usage(headers);
                (usage, response::answer(received, purpose).await)
            }
        }
    }

    /// For calls that no account makes: logins.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.inner.http
    }

    pub(super) fn config(&self) -> &GraphConfig {
        &self.inner.config
    }

    /// `{host URL}/{version}/{path…}`, each part of the path percent-encoded.
    pub(super) fn url(&self, host: Host, path: &[&str]) -> Url {
        self.url_at(host, Some(&self.inner.config.version), path)
    }

    /// `{host URL}/{path…}` where there is no version.
    fn url_at(&self, host: Host, version: Option<&str>, path: &[&str]) -> Url {
        let config = &self.inner.config;
        let mut url = match host {
            Host::Facebook => config.facebook_url.clone(),
            Host::Instagram => config.instagram_url.clone(),
        };
        // `Settings::url` only lets through URLs with a host, which have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            segments.extend(version);
            segments.extend(path);
        }
        url
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
