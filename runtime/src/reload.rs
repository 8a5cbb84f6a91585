//! SIGHUP: secrets are read again, without a restart.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, Settings};

/// What was read last, for those who share it.
#[derive(Debug)]
pub struct Current<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Current<T> {
    /// As of the first reading.
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// What is in force now; whoever holds it keeps it to the end of what they do.
    pub fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In force from now on.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// Calls `take` with the settings as they are now whenever SIGHUP comes, until `shutdown`. What cannot be read changes nothing, and the log
/// names it.
///
/// # Errors
/// When the process may not listen to signals.
pub fn on_hangup(
    role: &'static str,
    settings: Settings,
    shutdown: CancellationToken,
    take: impl Fn(&Settings) -> Result<(), ConfigError> + Send + 'static,
) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                came = hangup.recv() => if came.is_none() { return },
            }
            match settings.reload().and_then(|settings| take(&settings)) {
                Ok(()) => tracing::info!(role, "Read the secrets of {role} again"),
                Err(error) => {
                    tracing::error!(role, %error, "Could not read the secrets of {role} again; the old ones stay");
                }
            }
        }
    });
    Ok(())
}
