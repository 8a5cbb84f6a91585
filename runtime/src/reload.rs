//! SIGHUP: secrets are read again, without a restart.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, Settings};

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
