//! One file per table of a read model, with all statements that write it. Tables have no schema here: see [`scope`](super::scope).

pub(crate) mod comments;
pub(crate) mod conversations;
pub(crate) mod facts;
pub(crate) mod insights;
pub(crate) mod labels;
pub(crate) mod leases;
pub(crate) mod mentions;
pub(crate) mod messages;
pub(crate) mod notes;
pub(crate) mod parked;
pub(crate) mod parked_bytes;
pub(crate) mod positions;
pub(crate) mod posts;
pub(crate) mod reactions;
pub(crate) mod receipts;
pub(crate) mod withdrawn;

/// One column of rows, as a statement takes it.
fn of<'a, R, T>(rows: &'a [R], column: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}
