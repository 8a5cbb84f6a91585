//! The projector's metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use runtime::follow::Received;
use schemas::Kind;

/// Position of the last event whose rows are committed.
pub(crate) fn position(seq: u64) {
    gauge!("hookline_projector_position").set(precise(seq));
}

/// Events that wait to be projected.
pub(crate) fn lag(messages: u64) {
    gauge!("hookline_projector_lag_messages").set(precise(messages));
}

/// How many wait is not known: the stream is not the one that is projected.
pub(crate) fn lag_unknown() {
    gauge!("hookline_projector_lag_messages").set(f64::NAN);
}

/// Events set aside at present.
pub(crate) fn parked(events: u64) {
    gauge!("hookline_projector_parked").set(precise(events));
}

/// One event more was set aside.
pub(crate) fn set_aside(cause: &'static str) {
    counter!("hookline_projector_parked_total", "cause" => cause).increment(1);
}

/// A batch was stored.
pub(crate) fn stored(kinds: &BTreeMap<&'static str, u64>, took: Duration) {
    for (kind, count) in kinds {
        counter!("hookline_projector_events_total", "kind" => *kind).increment(*count);
    }
    histogram!("hookline_projector_batch_seconds").record(took.as_secs_f64());
}

/// How many of each kind a batch has, by the last token of the subject. Ours alone may publish there, but labels stay few anyway.
pub(crate) fn kinds_of(batch: &[Received]) -> BTreeMap<&'static str, u64> {
    let mut kinds = BTreeMap::new();
    for message in batch {
        let name = message.subject.rsplit('.').next().unwrap_or_default().replace('-', ".");
        let known = name.parse::<Kind>().map_or("other", Kind::as_str);
        *kinds.entry(known).or_insert(0) += 1;
    }
    kinds
}

#[allow(clippy::cast_precision_loss)] // metrics are floats; positions stay far below 2^53
fn precise(number: u64) -> f64 {
    number as f64
}
