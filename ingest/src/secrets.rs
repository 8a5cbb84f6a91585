//! What Meta's requests are checked against, read again on SIGHUP: a secret is rotated without a restart.

use runtime::config::{ConfigError, Settings};

use crate::handshake::VerifyTokens;
use crate::signature::AppSecrets;

/// Secrets as of one reading.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// `META_APP_SECRETS`
    pub(crate) apps: AppSecrets,
    /// `META_VERIFY_TOKENS`
    pub(crate) verify_tokens: VerifyTokens,
}

impl Secrets {
    /// Reads them.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong, without showing a secret.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.require("META_APP_SECRETS")?;
        settings.require("META_VERIFY_TOKENS")?;
        Ok(Self {
            apps: settings.parsed("META_APP_SECRETS", "", AppSecrets::parse)?,
            verify_tokens: settings.parsed("META_VERIFY_TOKENS", "", VerifyTokens::parse)?,
        })
    }
}
