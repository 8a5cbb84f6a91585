//! Verifying every row.

use tokio_util::sync::CancellationToken;

use super::scratch::Scratch;
use super::verified::Verified;
use crate::rebuild::{Builder, Heartbeat, Live, Place, Reader, RebuildError, Show, meet};
use crate::store::SchemaName;

/// Folds the whole stream and compares every row.
///
/// # Errors
/// See [`RebuildError`]; nothing was changed.
pub async fn whole(
    place: &Place,
    stop: CancellationToken,
    show: Show<'_>,
) -> Result<Verified, RebuildError> {
    let mut heart = Heartbeat::new(None, place.pool.clone(), stop, show);
    let scratch = Scratch::make(&place.pool).await?;
    let verified = fold_and_compare(place, &scratch.schema, &mut heart).await;
    let gone = scratch.gone().await;
    let verified = verified?;
    gone?;
    Ok(verified)
}

async fn fold_and_compare(
    place: &Place,
    scratch: &SchemaName,
    heart: &mut Heartbeat<'_>,
) -> Result<Verified, RebuildError> {
    let mut live = Live::look_at(place).await?;
    let mut builder = Builder::open(place, scratch).await?;
    builder.same_stream(&live, false).await?;
    let met = meet(place, &mut builder, &mut live, heart).await?;
    let position = met.position;
    let reader = Reader::open(&place.pool).await?;
    met.part().await?;
    let comparison = heart.during("comparing", reader.compare(&live.schema, scratch)).await?;
    Ok(Verified { schema: live.schema.to_string(), position, sample: None, comparison })
}
