//! What a role has stored about streams: without it, a first start and a stream that was lost look alike.

use super::{Era, StreamName};
use crate::BoxFuture;

/// Of which era the stored positions of a stream are.
pub trait StoredEras: Send + Sync {
    /// The era; `None` where no position of the stream is stored.
    ///
    /// # Errors
    /// It cannot be known now; ask again.
    fn stored(&self, stream: StreamName) -> BoxFuture<'_, anyhow::Result<Option<Era>>>;

    /// Keeps the era of a stream of which no position is stored yet.
    ///
    /// # Errors
    /// It is not kept; call again.
    fn keep(&self, stream: StreamName, era: Era) -> BoxFuture<'_, anyhow::Result<()>> {
        let _ = (stream, era);
        Box::pin(async { Ok(()) })
    }

    /// Whether this role writes the era into the metadata of a stream that has none.
    fn marks(&self) -> bool {
        false
    }
}

/// Of a process that stores no positions.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingStored;

impl StoredEras for NothingStored {
    fn stored(&self, _: StreamName) -> BoxFuture<'_, anyhow::Result<Option<Era>>> {
        Box::pin(async { Ok(None) })
    }
}
