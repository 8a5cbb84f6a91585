//! Stopping in order: SIGTERM and SIGINT cancel one token that every task watches.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a role may take to drain after a signal (docs/contract.md 1).
pub const DRAIN: Duration = Duration::from_secs(10);

/// A token that is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// When the process may not listen to signals.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancelled = token.clone();
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
