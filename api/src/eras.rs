//! Of which era the streams are that the worker reads and writes, for the connection to the broker.

use runtime::BoxFuture;
use runtime::streams::{Era, StoredEras, StreamName};
use sqlx::PgPool;

use crate::worker_views;

/// The stored eras.
#[derive(Clone, Debug)]
pub(crate) struct Eras(PgPool);

impl Eras {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self(pool)
    }
}

impl StoredEras for Eras {
    fn stored(&self, stream: StreamName) -> BoxFuture<'_, anyhow::Result<Option<Era>>> {
        Box::pin(async move { Ok(worker_views::era(&self.0, stream.as_str()).await?) })
    }
}
