//! What a simulator is started with, and the habits that may change while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Invalid, SimulatorError};
use crate::model::Login;
use crate::oauth::CodeRefusal;

/// Our app's id at Instagram; that at Facebook is [`SimulatorConfig::app_id`].
pub(crate) const INSTAGRAM_APP_ID: u64 = 880_000_000_000_001;

/// How a simulator starts.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Where Graph and control listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Ids, faults and traffic follow from it.
    pub seed: u64,
    /// Where webhooks go, e.g. `http://127.0.0.1:8080`; `/webhooks/instagram` and `/webhooks/facebook` are appended.
    /// Without one, deliveries wait until [`crate::SimulatorHandle::set_webhook_url`].
    pub webhook_url: Option<Url>,
    /// The secrets that sign webhooks.
    pub secrets: AppSecrets,
    /// Our app: `app_id` of Messenger echoes.
    pub app_id: u64,
    /// Habits at the start.
    pub policy: Policy,
}

impl Default for SimulatorConfig {
    fn default() -> SimulatorConfig {
        SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            webhook_url: None,
            secrets: AppSecrets::default(),
            app_id: 990_000_000_000_001,
            policy: Policy::default(),
        }
    }
}

impl SimulatorConfig {
    /// Reads `SIMULATOR_LISTEN`, `SIMULATOR_SEED`, `SIMULATOR_WEBHOOK_URL` and `META_APP_SECRETS` through `read`
    /// (the process environment, or a map).
    ///
    /// # Errors
    /// When a value cannot be read; the error names the variable and never shows a secret.
    pub fn from_variables(
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<SimulatorConfig, SimulatorError> {
        let listen = match read("SIMULATOR_LISTEN") {
            Some(text) => text.parse().map_err(|_| {
                Invalid::new(
                    "SIMULATOR_LISTEN",
                    format!("`{text}` is not an address such as 127.0.0.1:8085"),
                )
            })?,
            None => SocketAddr::from(([127, 0, 0, 1], 8085)),
        };
        let seed = match read("SIMULATOR_SEED") {
            Some(text) => text.parse().map_err(|_| {
                Invalid::new("SIMULATOR_SEED", format!("`{text}` is not a whole number"))
            })?,
            None => 1,
        };
        let webhook_url = match read("SIMULATOR_WEBHOOK_URL") {
            Some(text) => Some(webhook_url("SIMULATOR_WEBHOOK_URL", &text)?),
            None => None,
        };
        let secrets = match read("META_APP_SECRETS") {
            Some(text) => AppSecrets::parse(&text)?,
            None => AppSecrets::default(),
        };
        Ok(SimulatorConfig { listen, seed, webhook_url, secrets, ..SimulatorConfig::default() })
    }
}

/// Reads a webhook address; the error names `field`.
pub(crate) fn webhook_url(field: &str, text: &str) -> Result<Url, Invalid> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Invalid::new(field, format!("`{text}` is not a http(s) URL"))),
    }
}

/// One secret per Meta product (docs/meta-platform.md 0).
#[derive(Clone, PartialEq, Eq)]
pub struct AppSecrets {
    /// Signs for accounts connected by Facebook Login.
    pub facebook: String,
    /// Signs for accounts connected by Instagram Login.
    pub instagram: String,
}

impl Default for AppSecrets {
    fn default() -> AppSecrets {
        AppSecrets {
            facebook: "simulated-facebook-app-secret".to_owned(),
            instagram: "simulated-instagram-app-secret".to_owned(),
        }
    }
}

/// Secrets are not for logs.
impl std::fmt::Debug for AppSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppSecrets(…)")
    }
}

impl AppSecrets {
    /// The same secret for both products.
    pub fn same(secret: &str) -> AppSecrets {
        AppSecrets { facebook: secret.to_owned(), instagram: secret.to_owned() }
    }

    /// The secret that signs for accounts connected like this.
    pub fn of(&self, login: Login) -> &str {
        match login {
            Login::Facebook => &self.facebook,
            Login::Instagram => &self.instagram,
        }
    }

    /// Reads the form of `META_APP_SECRETS`, `[name=]secret,…`: those named `facebook` and `instagram`; the first
    /// of all stands in for a missing one.
    ///
    /// # Errors
    /// When there is no secret in it.
    pub fn parse(text: &str) -> Result<AppSecrets, Invalid> {
        let listed: Vec<(Option<&str>, &str)> = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| match part.split_once('=') {
                Some((name, secret)) => (Some(name.trim()), secret.trim()),
                None => (None, part),
            })
            .collect();
        let Some((_, first)) = listed.first() else {
            return Err(Invalid::new("META_APP_SECRETS", "is empty; give `[name=]secret,…`"));
        };
        let named = |wanted: &str| {
            let found = listed.iter().find(|(name, _)| *name == Some(wanted));
            found.map_or(*first, |(_, secret)| *secret).to_owned()
        };
        Ok(AppSecrets { facebook: named("facebook"), instagram: named("instagram") })
    }
}

/// Habits of Meta; all may be changed while the simulator runs (`PATCH /sim/policy`). Durations are milliseconds in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Deliveries of one conversation wait for each other, retries included.
    pub in_order: bool,
    /// How long the webhook may take to answer.
    #[serde(with = "millis")]
    pub post_timeout: Duration,
    /// Pauses before the second, third, … attempt; the last one repeats.
    #[serde(with = "millis_list")]
    pub retry_delays: Vec<Duration>,
    /// When an undelivered body is given up.
    #[serde(with = "millis")]
    pub retry_for: Duration,
    /// How many POSTs may be open at once.
    pub in_flight_max: usize,
    /// Share of items that wait for company in one POST, 0 to 1.
    pub batch_rate: f64,
    /// Most items in one POST.
    pub batch_max: usize,
    /// How long an item waits for company.
    #[serde(with = "millis")]
    pub batch_linger: Duration,
    /// Share of accepted bodies that are delivered once more, 0 to 1.
    pub duplicate_rate: f64,
    /// Share of messages reported only by a `message_edit` without sender, 0 to 1 (docs/meta-platform.md 5.1).
    pub senderless_rate: f64,
    /// Share of messages that come with a companion `message_edit` of `num_edit` 0, 0 to 1.
    pub companion_rate: f64,
    /// Whether sends are echoed at all.
    pub echoes: bool,
    /// Share of echoes delivered before the send is answered, 0 to 1.
    pub echo_before_rate: f64,
    /// How long after the answer the other echoes start.
    #[serde(with = "millis")]
    pub echo_delay: Duration,
    /// Share of sends followed by a delivery receipt (Messenger), 0 to 1.
    pub delivered_rate: f64,
    /// Share of sends followed by a read receipt, 0 to 1.
    pub read_rate: f64,
    /// How long after the echo receipts start.
    #[serde(with = "millis")]
    pub receipt_delay: Duration,
    /// How long a connection is held by the time-out faults.
    #[serde(with = "millis")]
    pub hold: Duration,
    /// Added to the time of every Graph answer.
    #[serde(with = "millis")]
    pub answer_delay: Duration,
    /// Listings of conversations with a larger `limit` are refused: "reduce the amount of data".
    pub listing_max: usize,
    /// Milliseconds that Meta's clock is ahead of this machine's; negative where it is behind.
    pub clock_ahead_ms: i64,
    /// Codes of Instagram Login are answered in the older form, without `data`.
    pub flat_code_answers: bool,
    /// Every code is refused like this.
    pub refuse_codes: Option<CodeRefusal>,
}

impl Default for Policy {
    /// Meta's own pace: retries for 36 h (docs/meta-platform.md 3.1), every send echoed after its answer.
    fn default() -> Policy {
        let seconds = |list: &[u64]| list.iter().map(|s| Duration::from_secs(*s)).collect();
        Policy {
            in_order: true,
            post_timeout: Duration::from_secs(5),
            retry_delays: seconds(&[1, 5, 15, 60, 300, 900, 3600]),
            retry_for: Duration::from_secs(36 * 3600),
            in_flight_max: 64,
            batch_rate: 0.0,
            batch_max: 50,
            batch_linger: Duration::from_millis(100),
            duplicate_rate: 0.0,
            senderless_rate: 0.0,
            companion_rate: 0.0,
            echoes: true,
            echo_before_rate: 0.0,
            echo_delay: Duration::from_millis(100),
            delivered_rate: 1.0,
            read_rate: 0.0,
            receipt_delay: Duration::from_millis(200),
            hold: Duration::from_secs(120),
            answer_delay: Duration::ZERO,
            listing_max: 500,
            clock_ahead_ms: 0,
            flat_code_answers: false,
            refuse_codes: None,
        }
    }
}

impl Policy {
    /// A short retry schedule, no receipts of their own accord: what a test wants to start from.
    pub fn for_tests() -> Policy {
        let millis = |list: &[u64]| list.iter().map(|ms| Duration::from_millis(*ms)).collect();
        Policy {
            retry_delays: millis(&[50, 100, 200, 400]),
            retry_for: Duration::from_secs(120),
            batch_linger: Duration::from_millis(30),
            echo_delay: Duration::from_millis(20),
            delivered_rate: 0.0,
            receipt_delay: Duration::from_millis(20),
            ..Policy::default()
        }
    }

    /// Rates are shares and limits are positive.
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        let rates = [
            ("batch_rate", self.batch_rate),
            ("duplicate_rate", self.duplicate_rate),
            ("senderless_rate", self.senderless_rate),
            ("companion_rate", self.companion_rate),
            ("echo_before_rate", self.echo_before_rate),
            ("delivered_rate", self.delivered_rate),
            ("read_rate", self.read_rate),
        ];
        for (field, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return Err(Invalid::new(field, format!("{rate} is not between 0 and 1")));
            }
        }
        if !(1..=1000).contains(&self.batch_max) {
            return Err(Invalid::new("batch_max", "must be 1 to 1000, as at Meta"));
        }
        if !(1..=10_000).contains(&self.in_flight_max) {
            return Err(Invalid::new("in_flight_max", "must be 1 to 10000"));
        }
        Ok(())
    }

    /// The pause before attempt `next` (1 is the first retry).
    pub fn retry_delay(&self, next: usize) -> Duration {
        let index = next.saturating_sub(1).min(self.retry_delays.len().saturating_sub(1));
        self.retry_delays.get(index).copied().unwrap_or(Duration::from_secs(1))
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        u64::deserialize(input).map(Duration::from_millis)
    }
}

mod millis_list {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &[Duration], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(value.iter().map(|one| u64::try_from(one.as_millis()).unwrap_or(u64::MAX)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Vec<Duration>, D::Error> {
        Ok(Vec::<u64>::deserialize(input)?.into_iter().map(Duration::from_millis).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_name_or_place() {
        let check = |text: &str, facebook: &str, instagram: &str| {
            let secrets = AppSecrets::parse(text).expect("secrets");
            assert_eq!(
                (secrets.facebook.as_str(), secrets.instagram.as_str()),
                (facebook, instagram)
            );
        };
        check("one", "one", "one");
        check("facebook=f, instagram=i", "f", "i");
        check("instagram=i,old", "i", "i");
        assert!(AppSecrets::parse(" ,").is_err());
    }

    #[test]
    fn a_bad_variable_is_named() {
        let read = |name: &str| (name == "SIMULATOR_SEED").then(|| "x".to_owned());
        let error = SimulatorConfig::from_variables(read).expect_err("refused");
        assert!(error.to_string().contains("SIMULATOR_SEED"), "{error}");
    }

    #[test]
    fn the_last_delay_repeats() {
        let policy = Policy::for_tests();
        assert_eq!(policy.retry_delay(1), Duration::from_millis(50));
        assert_eq!(policy.retry_delay(99), Duration::from_millis(400));
    }
}
