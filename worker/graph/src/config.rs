//! Settings of the Graph client.

use std::collections::BTreeMap;
use std::time::Duration;

use facts::accounts::Token;
use runtime::config::{ConfigError, Settings};
use runtime::reload::Current;
use url::Url;

use super::proof::named_secrets;

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
    /// Named secrets of `META_APP_SECRETS`, by app: for `appsecret_proof`. Every clone sees those that are set later.
    app_secrets: Current<BTreeMap<String, String>>,
    /// `RETRY_MIN`: first pause after a rate limit that does not say for how long.
    pub pause_min: Duration,
    /// `RETRY_MAX`: longest such pause.
    pub pause_max: Duration,
}

impl GraphConfig {
    /// Reads the variables named at the fields.
    ///
    /// # Errors
    /// Names the variable that is wrong and what to write instead.
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
            app_secrets: Current::new(app_secrets(settings)),
            pause_min: settings.duration("RETRY_MIN", "1s")?,
            pause_max: settings.duration("RETRY_MAX", "10m")?,
        })
    }

    /// Uses the app secrets of `settings` from now on, in every client that was made of this (docs/meta-platform.md 8).
    pub fn reread_secrets(&self, settings: &Settings) {
        self.app_secrets.set(app_secrets(settings));
    }

    /// The secret of the app of this name.
    pub(crate) fn app_secret(&self, app: &str) -> Option<Token> {
        self.app_secrets.get().get(app).map(|secret| Token::new(secret))
    }
}

fn app_secrets(settings: &Settings) -> BTreeMap<String, String> {
    named_secrets(settings.get("META_APP_SECRETS").unwrap_or_default())
}
