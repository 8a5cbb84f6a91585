//! What the worker reads from the environment, one small struct per concern.

use std::time::Duration;

use runtime::config::{ConfigError, LoginUrls, MetaApps, NatsConfig, Settings};
use runtime::guard::OutboundAllow;
use runtime::vouch::Vouch;
use runtime::waits;

use facts::seal::{Seal, SealError};
use graph::GraphConfig;
use tokio_util::sync::CancellationToken;

/// Everything the worker needs to know.
#[derive(Clone)]
pub struct Config {
    /// The broker.
    pub nats: NatsConfig,
    /// Graph.
    pub graph: GraphConfig,
    /// `ENCRYPTION_KEY`
    pub seal: Seal,
    /// Distinguishes the commands of people from those of automation, by `ENCRYPTION_KEY`.
    pub vouch: Vouch,
    /// `OUTBOUND_ALLOW`
    pub allow: OutboundAllow,
    /// Logins in a browser.
    pub connect: ConnectConfig,
    /// The waits that tests shorten.
    pub waits: Waits,
    settings: Settings,
}

/// Where Meta's logins are, and by which apps.
#[derive(Clone, Debug)]
pub struct ConnectConfig {
    /// `META_APPS`
    pub apps: MetaApps,
    /// The three URLs of logins.
    pub urls: LoginUrls,
}

/// Waits named by the contract; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `TWIN_GRACE`: how long a sender-less item waits for its twin.
    pub twin_grace: Duration,
    /// `SEND_LEASE`: how long one attempt to send may take.
    pub send_lease: Duration,
    /// `RECONCILE_AFTER`: from an attempt's deadline to the first look for its effect.
    pub reconcile_after: Duration,
    /// `RETRY_MIN`
    pub retry_min: Duration,
    /// `RETRY_MAX`
    pub retry_max: Duration,
    /// `AUTO_REPLY_MAX_AGE`: an older message is never answered automatically.
    pub auto_reply_max_age: Duration,
    /// `ERASE_UNSENT_AFTER`: the content of a message that was unsent is erased so much later.
    pub erase_unsent_after: Duration,
    /// `GRAPH_CLOCK_MAX_SKEW`: beyond it nothing is concluded from times that Graph reports.
    pub graph_clock_max_skew: Duration,
    /// `GRAPH_TIMEOUT`: one Graph call, connect included.
    pub graph_timeout: Duration,
    /// `COMPLETENESS_EVERY`: how often each account is compared with Graph.
    pub completeness_every: Duration,
    /// How long a lease outlives its holder (`runtime::waits`).
    pub lease: Duration,
    /// Between the two reads that prove absence (`runtime::waits`).
    pub reads_apart: Duration,
}

impl Waits {
    /// Reads them.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let waits = Self {
            twin_grace: settings.duration("TWIN_GRACE", "10s")?,
            send_lease: settings.duration("SEND_LEASE", "20s")?,
            reconcile_after: settings.duration("RECONCILE_AFTER", "30s")?,
            retry_min: settings.duration("RETRY_MIN", "1s")?,
            retry_max: settings.duration("RETRY_MAX", "10m")?,
            auto_reply_max_age: settings.duration("AUTO_REPLY_MAX_AGE", "10m")?,
            erase_unsent_after: settings.duration("ERASE_UNSENT_AFTER", "24h")?,
            graph_clock_max_skew: settings.duration("GRAPH_CLOCK_MAX_SKEW", "60s")?,
            graph_timeout: settings.duration("GRAPH_TIMEOUT", "8s")?,
            completeness_every: settings.duration("COMPLETENESS_EVERY", "1h")?,
            lease: waits::LEASE.get(),
            reads_apart: waits::READS_APART.get(),
        };
        if waits.retry_min.is_zero() || waits.retry_max < waits.retry_min {
            return Err(
                settings.invalid("RETRY_MAX", "RETRY_MIN must be above 0 and not above RETRY_MAX")
            );
        }
        if waits.completeness_every < Duration::from_secs(1) {
            return Err(settings.invalid("COMPLETENESS_EVERY", "use at least 1s"));
        }
        if waits.send_lease < Duration::from_millis(200) {
            return Err(settings.invalid("SEND_LEASE", "use at least 200ms"));
        }
        Ok(waits)
    }

    /// Those that sending needs.
    pub const fn outbound(&self) -> outbound::Waits {
        outbound::Waits {
            send_lease: self.send_lease,
            reconcile_after: self.reconcile_after,
            retry_min: self.retry_min,
            retry_max: self.retry_max,
            auto_reply_max_age: self.auto_reply_max_age,
            graph_clock_max_skew: self.graph_clock_max_skew,
            graph_timeout: self.graph_timeout,
            reads_apart: self.reads_apart,
        }
    }
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            nats: NatsConfig::from_settings(settings)?,
            graph: GraphConfig::from_settings(settings)?,
            seal: seal(settings)?,
            vouch: Vouch::from_hex(settings.require("ENCRYPTION_KEY")?).ok_or_else(|| {
                settings.invalid("ENCRYPTION_KEY", "use 32 bytes as 64 hex digits")
            })?,
            allow: OutboundAllow::from_settings(settings)?,
            connect: ConnectConfig {
                apps: MetaApps::from_settings(settings)?,
                urls: LoginUrls::from_settings(settings)?,
            },
            waits: Waits::from_settings(settings)?,
            settings: settings.clone(),
        })
    }

    /// On SIGHUP the app secrets are read again. Called before anything is waited for: a signal that comes meanwhile counts.
    ///
    /// # Errors
    /// When the process may not listen to signals.
    pub fn reread_secrets(&self, shutdown: &CancellationToken) -> std::io::Result<()> {
        let graph = self.graph.clone();
        runtime::reload::on_hangup("worker", self.settings.clone(), shutdown.clone(), move |now| {
            graph.reread_secrets(now);
            Ok(())
        })
    }
}

/// The seal under `ENCRYPTION_KEY`.
///
/// # Errors
/// When the variable is missing or no key; its value is never quoted.
pub fn seal(settings: &Settings) -> Result<Seal, ConfigError> {
    Seal::from_hex(settings.require("ENCRYPTION_KEY")?).map_err(|error| match error {
        SealError::Key(reason) => settings.invalid("ENCRYPTION_KEY", reason),
        other => settings.invalid("ENCRYPTION_KEY", other.to_string()),
    })
}
