//! What ingest reads from the environment.

use std::net::SocketAddr;

use runtime::config::{ConfigError, NatsConfig, PublicUrl, Settings};

use crate::secrets::Secrets;
use crate::signature::AppSecrets;

/// What a stored webhook needs in the broker's `max_payload` beside its body: headers, and the broker's own.
pub(crate) const HEADROOM_BYTES: usize = 64 << 10;
/// The broker itself takes no messages above 64 MiB.
const MAX_BODY_LARGEST: usize = 60 << 20;
const MAX_BODY_SMALLEST: usize = 1 << 10;

/// Everything ingest needs to know.
#[derive(Debug)]
pub struct Config {
    /// `INGEST_LISTEN`
    pub(crate) listen: SocketAddr,
    /// `PUBLIC_URL`
    pub(crate) public_url: Option<PublicUrl>,
    /// `META_ACCEPT_SHA1`
    pub(crate) accept_sha1: bool,
    /// `INGEST_MAX_BODY`, bytes.
    pub(crate) max_body: usize,
    /// The broker.
    pub(crate) nats: Nats,
}

/// The broker's settings; shown without what may be secret.
pub(crate) struct Nats(pub(crate) NatsConfig);

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nats(…)")
    }
}

/// How many apps `META_APP_SECRETS` names; 0 where it is not set.
///
/// # Errors
/// It cannot be read; the secrets are not shown.
pub fn apps(settings: &Settings) -> Result<usize, ConfigError> {
    if settings.get("META_APP_SECRETS").is_none() {
        return Ok(0);
    }
    let secrets = settings.parsed("META_APP_SECRETS", "", AppSecrets::parse)?;
    Ok(secrets.names().len())
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong, without showing a secret.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        // Named now, and read where requests are checked.
        Secrets::from_settings(settings)?;
        Ok(Self {
            listen: settings.address("INGEST_LISTEN", "127.0.0.1:8080")?,
            public_url: PublicUrl::from_settings(settings)?,
            accept_sha1: settings.flag("META_ACCEPT_SHA1", false)?,
            max_body: match settings.size("INGEST_MAX_BODY", "4MiB")? {
                size @ MAX_BODY_SMALLEST..=MAX_BODY_LARGEST => size,
                _ => {
                    return Err(
                        settings.invalid("INGEST_MAX_BODY", "use a size from 1KiB to 60MiB")
                    );
                }
            },
            nats: Nats(NatsConfig::from_settings(settings)?),
        })
    }
}

/// Whether the broker takes messages as large as webhooks may be.
///
/// # Errors
/// Names both numbers and the way out.
pub(crate) fn fits(max_body: usize, max_payload: usize) -> Result<(), String> {
    if max_body + HEADROOM_BYTES <= max_payload {
        return Ok(());
    }
    Err(format!(
        "the broker's max_payload of {max_payload} bytes must exceed INGEST_MAX_BODY of {max_body} bytes by 65536: raise max_payload to {} or lower INGEST_MAX_BODY",
        max_body + HEADROOM_BYTES
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] = [
        ("NATS_URL", "nats://u:hidden@h:1"),
        ("META_APP_SECRETS", "hidden-a,b=hidden"),
        ("META_VERIFY_TOKENS", "hidden"),
    ];

    fn with(name: &str, value: &str) -> Result<Config, String> {
        let pairs = GOOD.into_iter().filter(|(key, _)| *key != name).chain([(name, value)]);
        Config::from_settings(&Settings::from_pairs(pairs)).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let config = Config::from_settings(&Settings::from_pairs(GOOD)).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!((config.max_body, config.accept_sha1), (4 << 20, false));
        assert!(!format!("{config:?}").contains("hidden"), "{config:?}");
    }

    #[test]
    fn a_wrong_value_names_its_variable_and_shows_nothing_secret() {
        for (name, value) in [
            ("NATS_URL", ""),
            ("META_APP_SECRETS", ""),
            ("META_APP_SECRETS", "a=b,"),
            ("META_APP_SECRETS", "s p a c e=top-secret"),
            ("META_VERIFY_TOKENS", ""),
            ("META_VERIFY_TOKENS", "top-secret,,"),
            ("META_ACCEPT_SHA1", "maybe"),
            ("INGEST_LISTEN", "8080"),
            ("INGEST_MAX_BODY", "4 cubits"),
            ("INGEST_MAX_BODY", "0"),
            ("INGEST_MAX_BODY", "1GiB"),
            ("NATS_REQUIRE_SYNC", "perhaps"),
            // An address that the api would refuse leads to no page.
            ("PUBLIC_URL", "http://far.example"),
            ("PUBLIC_URL", "https://hookline.example/path"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.starts_with(name), "{name}={value}: {error}");
            assert!(!error.contains("top-secret") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_webhook_must_fit_with_its_headers() {
        assert!(fits(4 << 20, 8 << 20).is_ok());
        assert!(fits(4 << 20, (4 << 20) + 65_536).is_ok());
        let error = fits(4 << 20, 4 << 20).unwrap_err();
        assert!(error.contains("4194304 bytes must exceed INGEST_MAX_BODY of 4194304"), "{error}");
    }
}
