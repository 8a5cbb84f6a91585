//! ◆ Pure: what of a raw webhook belongs to a parked row.

use crate::lanes;
use crate::output::{Normalized, Output};
use crate::parked::Parked;

/// Of a row of a lane: what the raw webhook says in the lane, and the events that were parked with the row wherever they are now. Of a row of
/// a whole raw webhook: everything. Each with the position of the raw webhook.
pub(super) fn of_row(row: &Parked, normalized: Normalized) -> Vec<(u64, Output)> {
    let sequence = u64::try_from(row.raw_seq).unwrap_or(0);
    let whole = row.lane == lanes::lane_of_raw(sequence, row.raw_era);
    let belongs = |output: &Output| match output {
        Output::Fact(draft) => {
            whole || draft.event.lane() == row.lane || row.has_event(&draft.event.id)
        }
        Output::Senderless(_) => whole,
    };
    let outputs = normalized.outputs.into_iter().filter(belongs).map(|mut output| {
        if let Output::Fact(draft) = &mut output {
            draft.event.data.origin.source_era = Some(row.raw_era);
        }
        (sequence, output)
    });
    outputs.collect()
}
