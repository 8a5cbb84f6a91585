//! `API_TOKENS` as they are now: read again on SIGHUP.

use std::sync::{Arc, PoisonError, RwLock};

use runtime::config::{ConfigError, Settings};

use crate::auth::Tokens;

/// The tokens in force.
#[derive(Clone, Debug)]
pub(crate) struct CurrentTokens(Arc<RwLock<Arc<Tokens>>>);

impl CurrentTokens {
    pub(crate) fn new(tokens: Tokens) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(tokens))))
    }

    /// Those in force now.
    pub(crate) fn get(&self) -> Arc<Tokens> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes new ones; what cannot be read changes nothing.
    ///
    /// # Errors
    /// Says which entry is wrong, by its number.
    pub(crate) fn take(&self, settings: &Settings) -> Result<(), ConfigError> {
        let tokens = Arc::new(Tokens::from_settings(settings)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }
}

impl Tokens {
    /// Reads `API_TOKENS`.
    ///
    /// # Errors
    /// Says which entry is wrong, by its number.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.parsed("API_TOKENS", "", Self::parse)
    }
}
