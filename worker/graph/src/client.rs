//! Making calls: the right host, node and token for an account; one try for writes, a few for reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use runtime::config::{ConfigError, Settings};
use runtime::retry::Backoff;
use schemas::{Channel, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::Instrument;
use url::Url;

use super::budget::Budget;
use super::error::{Class, Failure, GraphError, Use};
use super::limits::{Lane, Usage};
use super::proof::{appsecret_proof, named_secrets};
use facts::accounts::Connected;
use facts::accounts::directory::{Account, Login};

/// Larger answers are refused: 50 conversations with 20 messages each stay far below.
const ANSWER_MAX: usize = 8 << 20;
/// Tries of a read.
const READ_TRIES: usize = 3;
/// Least pause before the second try.
const READ_PAUSE: Duration = Duration::from_millis(200);
const READ_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Where Graph is and how to speak to it.
#[derive(Clone)]
pub struct GraphConfig {
    /// `GRAPH_FACEBOOK_URL`; may have a path, which is kept.
    pub facebook_url: Url,
    /// `GRAPH_INSTAGRAM_URL`; may have a path, which is kept.
    pub instagram_url: Url,
    /// `GRAPH_VERSION`, such as `v26.0`.
    pub version: String,
    /// `GRAPH_TIMEOUT`: one call, connect included.
    pub timeout: Duration,
    /// Named secrets of `META_APP_SECRETS`, by app: for `appsecret_proof`.
    pub app_secrets: BTreeMap<String, String>,
    /// `RETRY_MIN`: first pause after a rate limit that does not say for how long.
    pub pause_min: Duration,
    /// `RETRY_MAX`: longest such pause.
    pub pause_max: Duration,
}

impl GraphConfig {
    /// Reads it.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let version = settings.parsed("GRAPH_VERSION", "v26.0", |text| {
            let valid = text.strip_prefix('v').and_then(|rest| rest.split_once('.')).is_some_and(
                |(major, minor)| {
                    let digits = |part: &str| {
                        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
                    };
                    digits(major) && digits(minor)
                },
            );
            if valid {
                Ok(text.to_owned())
            } else {
                Err("use a Graph version such as v26.0".to_owned())
            }
        })?;
        let timeout = settings.duration("GRAPH_TIMEOUT", "8s")?;
        if timeout.is_zero() {
            return Err(settings.invalid("GRAPH_TIMEOUT", "use more than 0"));
        }
        Ok(Self {
            facebook_url: settings.url("GRAPH_FACEBOOK_URL", "https://graph.facebook.com")?,
            instagram_url: settings.url("GRAPH_INSTAGRAM_URL", "https://graph.instagram.com")?,
            version,
            timeout,
            app_secrets: named_secrets(settings.get("META_APP_SECRETS").unwrap_or_default()),
            pause_min: settings.duration("RETRY_MIN", "1s")?,
            pause_max: settings.duration("RETRY_MAX", "10m")?,
        })
    }
}

/// One of Graph's two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// `GRAPH_FACEBOOK_URL`
    Facebook,
    /// `GRAPH_INSTAGRAM_URL`
    Instagram,
}

impl Host {
    /// The host an account's token is good for.
    pub const fn of(account: &Account) -> Self {
        match account.login {
            Login::Instagram => Self::Instagram,
            Login::Facebook => Self::Facebook,
        }
    }
}

/// The account as the first part of a path: `me` on the Instagram host, the Page (or the account itself) on the Facebook host
/// (docs/meta-platform.md 8.1).
pub fn node(account: &Account) -> &str {
    match account.login {
        Login::Instagram => "me",
        Login::Facebook => account.page_id.as_deref().unwrap_or(account.id.as_str()),
    }
}

/// What Graph calls the channel (`platform=`).
pub const fn platform(channel: Channel) -> &'static str {
    channel.as_str()
}

/// What a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// A word for metrics and spans: `send`, `message`, `conversations`, `profile`, `comment_reply`, …
    pub kind: &'static str,
    /// Whose share of the allowance it uses.
    pub lane: Lane,
    /// Shorter than `GRAPH_TIMEOUT` where the caller's own deadline is nearer.
    pub timeout: Option<Duration>,
    /// Takes a slot of the Conversations API: 2 per second and account (docs/meta-platform.md 10).
    pub paced: bool,
}

impl Call {
    /// A call with the usual time-out.
    pub const fn new(kind: &'static str, lane: Lane) -> Self {
        Self { kind, lane, timeout: None, paced: false }
    }

    /// At the pace of the Conversations API.
    pub const fn paced(self) -> Self {
        Self { paced: true, ..self }
    }

    /// With a shorter time-out.
    pub const fn within(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

/// The Graph client. Cheap to clone; clones share connections and budget.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    config: GraphConfig,
    budget: Budget,
}

/// The body of a write.
pub(super) enum Payload<'a> {
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
        Ok(Self { inner: Arc::new(Inner { http, config, budget }) })
    }

    /// Until when calls for the account are closed by a rate limit, where they are: a queue may sleep as long.
    pub fn closed_until(&self, account: &Account, now: Timestamp) -> Option<Timestamp> {
        self.inner.budget.closed_until(account, now)
    }

    /// The account's app and until when all of its calls are closed, where they are: the other workers are told.
    pub fn app_closed_until(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Option<(String, Timestamp)> {
        self.inner.budget.app_closed_until(account, now)
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
    /// What the last try met.
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
    /// What it met.
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
    /// [`Class::Unknown`] whenever it may have taken effect.
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
    /// [`Class::Unknown`] whenever it may have taken effect.
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
        let mut url = self.url(Host::of(&connected.account), path);
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(query);
            let secret = connected.account.app.as_ref().and_then(|app| config.app_secrets.get(app));
            if let Some(proof) =
                secret.and_then(|secret| appsecret_proof(secret, connected.token.expose()))
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
            request = request.json(body);
        }
        match request.send().await {
            Err(error) => (Usage::default(), Err(failure(&error, purpose))),
            Ok(response) => {
                let usage = usage(response.headers());
                (usage, answer(response, purpose).await)
            }
        }
    }

    /// `{host URL}/{version}/{path…}`, each part of the path percent-encoded.
    fn url(&self, host: Host, path: &[&str]) -> Url {
        let config = &self.inner.config;
        let mut url = match host {
            Host::Facebook => config.facebook_url.clone(),
            Host::Instagram => config.instagram_url.clone(),
        };
        // `Settings::url` only lets through URLs with a host, which have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&config.version).extend(path);
        }
        url
    }
}

fn usage(headers: &HeaderMap) -> Usage {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Usage::parse(text("x-app-usage"), text("x-page-usage"), text("x-business-use-case-usage"))
}

/// The error of `reqwest` is not kept: it names the URL, and that may hold what a person wrote.
fn failure(error: &reqwest::Error, purpose: Use) -> GraphError {
    let failure = if error.is_connect() || error.is_builder() {
        Failure::Connect
    } else if error.is_timeout() {
        Failure::Timeout
    } else {
        Failure::Broken
    };
    GraphError::without_answer(failure, purpose)
}

async fn answer(mut response: Response, purpose: Use) -> Result<Value, GraphError> {
    let status = response.status().as_u16();
    let with_status = |failure| GraphError {
        status: Some(status),
        ..GraphError::without_answer(failure, purpose)
    };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX => {
                body.extend_from_slice(&chunk)
            }
            Ok(Some(_)) => return Err(with_status(Failure::TooLarge)),
            Err(error) => return Err(failure(&error, purpose)),
        }
    }
    if let Some(error) = GraphError::of_answer(status, &body, purpose) {
        return Err(error);
    }
    // Read like a webhook: half an emoji or NUL in what a person wrote spoils nothing, and no id is rounded.
    let raw: &RawValue =
        serde_json::from_slice(&body).map_err(|_| with_status(Failure::Unreadable))?;
    Ok(schemas::meta::json::json(raw))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
