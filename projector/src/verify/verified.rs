//! What a verification found.

use serde::Serialize;

use crate::rebuild::Comparison;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// The schema that was looked at.
    pub schema: String,
    /// The position at which it was compared.
    pub position: u64,
    /// Which conversations, where not all were looked at.
    pub sample: Option<Sample>,
    /// How it differs from what follows from the stream.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Which conversations were looked at.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// How many.
    pub conversations: usize,
    /// Chooses the same ones again.
    pub seed: i64,
}
