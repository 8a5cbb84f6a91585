//! Stopping in order: SIGTERM and SIGINT cancel one token that every task watches.

use std::sync::OnceLock;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a role may take to drain after a signal (docs/contract.md 1).
pub const DRAIN: Duration = Duration::from_secs(10);

/// The token of [`on_signal`].
static STOP: OnceLock<CancellationToken> = OnceLock::new();
/// Why the process cannot go on.
static FAILURE: OnceLock<&'static str> = OnceLock::new();

/// Ends the process with an error, as nothing in it can go on: in order where it listens to signals, and in any case before long.
pub fn fail(reason: &'static str) {
    if FAILURE.set(reason).is_err() {
        return;
    }
    tracing::error!(reason, "Cannot go on: {reason}; the process ends, and is to be started again");
    let grace = STOP.get().map_or(Duration::ZERO, |stop| {
        stop.cancel();
        DRAIN
    });
    tokio::spawn(async move {
        tokio::time::sleep(grace).await;
        // What should have ended did not.
        #[allow(clippy::disallowed_methods)]
        std::process::exit(1);
    });
}

/// Whether [`fail`] was called.
///
/// # Errors
/// Why the process cannot go on.
pub fn check() -> anyhow::Result<()> {
    FAILURE.get().map_or(Ok(()), |reason| Err(anyhow::anyhow!("{reason}")))
}

/// A token that is cancelled by SIGTERM or SIGINT, and by [`fail`].
///
/// # Errors
/// When the process may not listen to signals.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Whoever reads secrets again listens for it too (`reload`); it ends no process.
    let _ = signal(SignalKind::hangup())?;
    let cancelled = token.clone();
    let _ = STOP.set(token.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("Stopping: finishing what is in flight");
        cancelled.cancel();
    });
    Ok(token)
}
