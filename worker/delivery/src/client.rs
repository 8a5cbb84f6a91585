//! Making the request: once, without redirects and without a proxy, to addresses that the guard lets through.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use runtime::guard::{self, ForbiddenAddress, GuardedResolver, OutboundAllow};
use schemas::Timestamp;
use url::Url;

use crate::secret::Secret;
use crate::sign::signatures;

/// From the first byte of the request to the status of the answer, connect included.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer, so that its connection can be used again; nobody looks at it.
const ANSWER_MAX: usize = 16 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A receiver cannot put its events off for longer at a time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is delivered.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The receiver.
    pub url: &'a Url,
    /// The current secret, and the one before while it is rotated out.
    pub secrets: &'a [Secret],
    /// `webhook-id`
    pub id: &'a str,
    /// The event, byte for byte.
    pub body: Bytes,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Delivered,
    /// 410: the receiver wants nothing more.
    Gone,
    /// Another status.
    Status(u16),
    /// No answer in time.
    TimedOut,
    /// The guard lets nothing through to this URL.
    Forbidden,
    /// No connection, or one that broke.
    Unreachable,
}

impl Outcome {
    /// A word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Status(300..=399) => "redirect",
            Self::Status(_) => "refused",
            Self::TimedOut => "timed_out",
            Self::Forbidden => "forbidden",
            Self::Unreachable => "unreachable",
        }
    }

    /// For people; it has nothing that the receiver wrote.
    pub fn in_words(self) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Gone => "status 410: the receiver wants nothing more".to_owned(),
            Self::Status(status @ 300..=399) => {
                format!("status {status}: redirects are not followed, use the final URL")
            }
            Self::Status(status) => format!("status {status}"),
            Self::TimedOut => format!("no answer within {} s", TIMEOUT.as_secs()),
            Self::Forbidden => {
                "the address may not be reached: name its host or network in OUTBOUND_ALLOW"
                    .to_owned()
            }
            Self::Unreachable => "no connection, or it broke".to_owned(),
        }
    }

    /// The class of the status, such as `2xx`; `None`: there was none.
    pub fn status_class(self) -> Option<String> {
        match self {
            Self::Delivered => Some("2xx".to_owned()),
            Self::Gone => Some("4xx".to_owned()),
            Self::Status(status) => Some(format!("{}xx", status / 100)),
            Self::TimedOut | Self::Forbidden | Self::Unreachable => None,
        }
    }
}

/// How a request ended, and when the receiver wants the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Makes requests. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    https: reqwest::Client,
    http: reqwest::Client,
    allow: Arc<OutboundAllow>,
}

impl Client {
    /// A client that reaches public addresses and what `allow` names.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(allow: OutboundAllow) -> anyhow::Result<Self> {
        runtime::tls::install();
        let allow = Arc::new(allow);
        let build = |resolver: GuardedResolver| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                // A proxy would resolve names by itself, and the guard would see the proxy's address.
                .no_proxy()
                .dns_resolver(resolver)
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .pool_idle_timeout(Duration::from_secs(20))
                .user_agent(concat!("hookline/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        Ok(Self {
            https: build(GuardedResolver::https(allow.clone()))?,
            http: build(GuardedResolver::http(allow.clone()))?,
            allow,
        })
    }

    /// What it may reach besides public addresses.
    pub fn allow(&self) -> &OutboundAllow {
        &self.allow
    }

    /// Sends it once, signed as of `now`.
    pub async fn send(&self, delivery: Delivery<'_>, now: Timestamp) -> Answer {
        let Delivery { url, secrets, id, body } = delivery;
        // Addresses that stand in the URL are not resolved.
        if guard::check_url(url, &self.allow).is_err() {
            return Answer { outcome: Outcome::Forbidden, retry_after: None };
        }
        let timestamp = now.as_millis() / 1000;
        let client = if url.scheme() == "https" { &self.https } else { &self.http };
        let sent = client
            .post(url.clone())
            .header(CONTENT_TYPE, schemas::event::CONTENT_TYPE)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures(secrets, id, timestamp, &body))
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => {
                let answer = Answer {
                    outcome: outcome(response.status()),
                    retry_after: retry_after(response.headers(), now),
                };
                let _ = tokio::time::timeout(ANSWER_WITHIN, drain(response)).await;
                answer
            }
            Err(error) => Answer { outcome: failure(&error), retry_after: None },
        }
    }
}

async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(part)) = response.chunk().await {
        read += part.len();
        if read > ANSWER_MAX {
            return;
        }
    }
}

fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        410 => Outcome::Gone,
        other => Outcome::Status(other),
    }
}

fn failure(error: &reqwest::Error) -> Outcome {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<ForbiddenAddress>() {
            return Outcome::Forbidden;
        }
        cause = error.source();
    }
    if error.is_timeout() { Outcome::TimedOut } else { Outcome::Unreachable }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            Timestamp::from_millis(date.timestamp_millis()).since(now)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before a connection is made: whether somebody listens there is not learnt.
    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for (url, allow, expected) in [
            (format!("https://localhost:{port}/"), "", Outcome::Forbidden),
            (format!("http://localhost:{port}/"), "10.0.0.0/8", Outcome::Forbidden),
            (format!("http://127.0.0.1:{port}/"), "", Outcome::Forbidden),
            ("http://127.0.0.1:9/".to_owned(), "127.0.0.1", Outcome::Unreachable),
        ] {
            let client = Client::new(OutboundAllow::parse(allow).unwrap()).unwrap();
            let url = Url::parse(&url).unwrap();
            let delivery = Delivery { url: &url, secrets: &[], id: "evt_1", body: Bytes::new() };
            let answer = client.send(delivery, Timestamp::EPOCH).await;
            assert_eq!(answer.outcome, expected, "{url}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = Timestamp::from_millis(1_445_412_480_000);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Wed, 21 Oct 2015 07:29:00 GMT"), Some(60));
        assert_eq!(read("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0));
        assert_eq!(read("9999999999"), Some(24 * 3600));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn statuses_have_classes() {
        let of = |status: u16| outcome(StatusCode::from_u16(status).unwrap());
        assert_eq!(of(204), Outcome::Delivered);
        assert_eq!(of(410), Outcome::Gone);
        assert_eq!((of(302).as_str(), of(500).as_str()), ("redirect", "refused"));
        assert_eq!(of(503).status_class().as_deref(), Some("5xx"));
        assert_eq!(Outcome::TimedOut.status_class(), None);
    }
}
