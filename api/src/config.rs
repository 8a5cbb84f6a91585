//! What the api reads from the environment.

use std::net::SocketAddr;

use runtime::config::{
    ConfigError, EncryptionKeys, LoginUrls, MetaApps, NatsConfig, PublicUrl, Settings,
};
use runtime::guard::OutboundAllow;
use runtime::reload::Current;
use runtime::seal::Seal;
use runtime::vouch::Vouch;

use crate::app::Browser;
use crate::auth::Tokens;
use crate::cursor::Cursors;
use crate::session::key::SessionKey;

/// The configuration of the api.
pub struct Config {
    /// `API_LISTEN`
    pub(crate) listen: SocketAddr,
    pub(crate) nats: NatsConfig,
    /// `API_TOKENS`; without any, everything is refused.
    pub(crate) tokens: Current<Tokens>,
    /// Signs cursors, by `ENCRYPTION_KEY`.
    pub(crate) cursors: Cursors,
    /// Vouches for the commands of people, by `ENCRYPTION_KEY`.
    pub(crate) vouch: Vouch,
    /// `OUTBOUND_ALLOW`
    pub(crate) allow: OutboundAllow,
    /// Sessions and connecting.
    pub(crate) browser: Browser,
}

impl Config {
    /// Reads the variables of the api.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable that is missing or wrong, never its value.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let text = settings.require("ENCRYPTION_KEY")?;
        let wrong = |reason: String| settings.invalid("ENCRYPTION_KEY", reason);
        let keys = EncryptionKeys::parse(text).map_err(wrong)?;
        let vouch = Vouch::from_hex(text).ok_or_else(|| wrong("it cannot be used".to_owned()))?;
        Ok(Self {
            listen: settings.address("API_LISTEN", "127.0.0.1:8081")?,
            nats: NatsConfig::from_settings(settings)?,
            tokens: Current::new(Tokens::from_settings(settings)?),
            // A cursor of the page before lives as long as its key is the first one.
            cursors: Cursors::new(&keys.first.bytes),
            vouch,
            allow: OutboundAllow::from_settings(settings)?,
            browser: Browser {
                key: SessionKey::new(&keys.first.bytes),
                seal: Seal::from_hex(text).map_err(|error| wrong(error.to_string()))?,
                public_url: PublicUrl::from_settings(settings)?,
                apps: MetaApps::from_settings(settings)?,
                urls: LoginUrls::from_settings(settings)?,
                console: settings.flag("API_CONSOLE", true)?,
                version: settings.get("GRAPH_VERSION").unwrap_or("v26.0").to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let base = [("NATS_URL", "nats://127.0.0.1:4222"), ("ENCRYPTION_KEY", "00")];
        let settings = Settings::from_pairs(base.iter().chain(pairs).copied());
        Config::from_settings(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_values_are_named_and_never_shown() {
        let key = "11".repeat(32);
        assert!(read(&[("ENCRYPTION_KEY", &key)]).is_ok());
        let error = read(&[]).err().unwrap();
        assert!(error.contains("ENCRYPTION_KEY"), "{error}");
        let error =
            read(&[("ENCRYPTION_KEY", &key), ("API_TOKENS", "a=sesame:wriet")]).err().unwrap();
        assert!(error.contains("API_TOKENS") && !error.contains("sesame"), "{error}");
        let error = read(&[("ENCRYPTION_KEY", &key), ("API_LISTEN", "here")]).err().unwrap();
        assert!(error.contains("API_LISTEN"), "{error}");
    }
}
