//! What Meta's requests are checked against, read again on SIGHUP: a secret is rotated without a restart.

use std::sync::{Arc, PoisonError, RwLock};

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

/// The secrets in force.
#[derive(Clone, Debug)]
pub(crate) struct CurrentSecrets(Arc<RwLock<Arc<Secrets>>>);

impl CurrentSecrets {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(secrets))))
    }

    /// Those in force now; a request keeps them to its end.
    pub(crate) fn get(&self) -> Arc<Secrets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes new ones; what cannot be read changes nothing.
    ///
    /// # Errors
    /// As [`Secrets::from_settings`].
    pub(crate) fn take(&self, settings: &Settings) -> Result<(), ConfigError> {
        let secrets = Arc::new(Secrets::from_settings(settings)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets;
        Ok(())
    }
}
