//! Where the broker is and what is asked of it.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::error::ConfigError;
use super::settings::{Settings, is_http};

/// Where the broker is and what is asked of it.
#[derive(Clone)]
pub struct NatsConfig {
    /// `NATS_URL`, split at commas; may hold a password.
    pub servers: Vec<String>,
    /// `NATS_CREDS`
    pub creds: Option<PathBuf>,
    /// `NATS_MONITOR_URL`, or port 8222 of each server.
    pub monitors: Vec<Url>,
    /// `NATS_REPLICAS`
    pub replicas: usize,
    /// `NATS_REQUIRE_SYNC`
    pub require_sync: bool,
    /// `RAW_MAX_AGE`
    pub raw_max_age: Duration,
    /// `EVENTS_MAX_AGE`; zero keeps for ever.
    pub events_max_age: Duration,
    /// `COMMANDS_MAX_AGE`, also of the attempts to carry them out; zero keeps for ever.
    pub commands_max_age: Duration,
}

impl NatsConfig {
    /// Reads it.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let servers: Vec<String> =
            settings.require("NATS_URL")?.split(',').map(|part| part.trim().to_owned()).collect();
        for server in &servers {
            let parsed = server.parse::<async_nats::ServerAddr>();
            if parsed.is_err() {
                return Err(settings.invalid("NATS_URL", "use nats://[user:pass@]host:port[,…]"));
            }
        }
        if let Some(path) = settings.get("NATS_CREDS")
            && let Err(error) = std::fs::File::open(path)
        {
            return Err(settings.invalid("NATS_CREDS", format!("cannot read the file: {error}")));
        }
        let monitors = match settings.get("NATS_MONITOR_URL") {
            Some(text) => text
                .split(',')
                .map(|part| {
                    Url::parse(part.trim()).ok().filter(is_http).ok_or_else(|| {
                        settings.invalid("NATS_MONITOR_URL", "use http://host:8222[,…]")
                    })
                })
                .collect::<Result<_, _>>()?,
            None => servers
                .iter()
                .filter_map(|server| server.parse::<async_nats::ServerAddr>().ok())
                .filter_map(|server| {
                    let host = server.host();
                    let host =
                        if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                    Url::parse(&format!("http://{host}:8222")).ok()
                })
                .collect(),
        };
        Ok(Self {
            servers,
            creds: settings.get("NATS_CREDS").map(PathBuf::from),
            monitors,
            replicas: settings.parsed("NATS_REPLICAS", "1", |text| match text.parse() {
                Ok(number @ (1 | 3 | 5)) => Ok(number),
                _ => Err("use 1, 3 or 5".to_owned()),
            })?,
            require_sync: settings.flag("NATS_REQUIRE_SYNC", true)?,
            raw_max_age: settings.duration("RAW_MAX_AGE", "30d")?,
            events_max_age: settings.duration("EVENTS_MAX_AGE", "0")?,
            commands_max_age: settings.duration("COMMANDS_MAX_AGE", "30d")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_is_beside_each_server() {
        let settings = Settings::from_pairs([("NATS_URL", "nats://u:p@n1:4222,n2")]);
        let config = NatsConfig::from_settings(&settings).unwrap();
        assert_eq!(
            config.monitors.iter().map(Url::as_str).collect::<Vec<_>>(),
            ["http://n1:8222/", "http://n2:8222/"]
        );
    }
}
