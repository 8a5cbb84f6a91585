//! Raw webhooks as the normaliser reads them; one that breaks it holds up no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use runtime::follow::Received;

use crate::failure;
use crate::normalize::{normalize, unreadable};
use crate::output::{Normalized, Output};
use crate::parking::Parking;
use crate::raw_webhook::RawWebhook;
use crate::rule_failpoint;
use facts::accounts::directory::Directory;

/// From so many bytes on, raw webhooks are read beside the task that also renews the lease.
const HEAVY_BYTES: usize = 128 << 10;

/// Reads raw webhooks; where they are large, beside the task that also renews the lease.
pub(super) async fn read(batch: &[Received], accounts: &Arc<Directory>) -> Read {
    if batch.iter().map(|raw| raw.payload.len()).sum::<usize>() < HEAVY_BYTES {
        return read_here(batch, accounts);
    }
    let (batch, accounts, span) = (batch.to_vec(), accounts.clone(), tracing::Span::current());
    let reading =
        tokio::task::spawn_blocking(move || span.in_scope(|| read_here(&batch, &accounts)));
    match reading.await {
        Ok(read) => read,
        // The normaliser's own panics are caught below; this one parks what it was about, as in this task.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The process ends.
        Err(_) => std::future::pending().await,
    }
}

fn read_here(batch: &[Received], accounts: &Directory) -> Read {
    let mut read = Read::default();
    for raw in batch {
        let (normalized, broken) = normalize_safely(&RawWebhook::of(raw), accounts);
        read.outputs.extend(normalized.outputs.into_iter().map(|output| (raw.sequence, output)));
        if broken {
            let cause = failure::panicked("the normaliser");
            read.parking.push(Parking::of_raw(raw.sequence, cause));
        }
    }
    read
}

/// What some raw webhooks say.
#[derive(Default)]
pub(super) struct Read {
    /// With the position of each one's raw webhook.
    pub(super) outputs: Vec<(u64, Output)>,
    /// Those that nobody can read.
    pub(super) parking: Vec<Parking>,
}

/// A raw webhook that makes the normaliser panic is reported, parked, and holds up nobody. `true`: it did.
pub(super) fn normalize_safely(raw: &RawWebhook, accounts: &Directory) -> (Normalized, bool) {
    let RawWebhook { meta, body } = raw;
    let span = tracing::info_span!("normalize", raw.seq = meta.stream_sequence);
    runtime::telemetry::continue_trace(&span, meta.traceparent.as_deref());
    let _entered = span.enter();
    match catch_unwind(AssertUnwindSafe(|| normalize(body, meta, accounts))) {
        Ok(normalized) => (rule_failpoint::apply(normalized), false),
        Err(_) => {
            tracing::error!(
                raw.seq = meta.stream_sequence,
                "The normaliser failed on raw webhook {}: keep its bytes, they show a bug; `hookline redrive` reads it again",
                meta.stream_sequence
            );
            (unreadable(body, meta), true)
        }
    }
}
