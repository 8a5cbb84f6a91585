//! Whether the broker's client still works. It is a task of the client library: one that ends leaves a handle that looks connected and does
//! nothing, and a process must not live on with it.

use std::sync::Weak;

use tokio_util::sync::CancellationToken;

/// Dropped with the client, wherever the client's task ends.
pub(super) struct Life(CancellationToken);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A guard for the client to own; the process ends when it is dropped before `shutdown`, while somebody still has the `handle`.
pub(super) fn guard(shutdown: CancellationToken, handle: Weak<()>) -> Life {
    let ended = CancellationToken::new();
    let watched = ended.clone();
    tokio::spawn(async move {
        watched.cancelled().await;
        if !shutdown.is_cancelled() && handle.upgrade().is_some() {
            crate::shutdown::fail(
                "the client of the broker died of something it received (the log has the place)",
            );
        }
    });
    Life(ended)
}
