//! Reading the body of a client that is not authenticated yet: bounded in size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refused;

/// The largest callback: a form with one field, of some hundred bytes.
pub(crate) const CALLBACK_MAX: usize = 64 << 10;
/// How long a body may take.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of bodies that are being read, beyond the free part of each, unless `INGEST_MAX_BODY` is so large that only a few would fit.
const BUDGET_BYTES: usize = 32 << 20;
/// The first bytes of a body count nothing: an ordinary webhook is that small, so bodies that hold the whole budget and do not end
/// cannot keep it out. Their sum is bounded by the number of connections.
const FREE_BYTES: usize = 8 << 10;
/// Memory that is taken at once for a body in several pieces.
const RESERVE_MAX_BYTES: usize = 64 << 10;
/// How long, and how many bytes, we go on reading after the answer is given: a client that is cut off while it writes may not see it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 << 20;

/// Reads bodies within one budget.
pub(crate) struct Reader {
    budget: Arc<Semaphore>,
    max_body: usize,
}

/// A whole body. Dropped, it gives its share of the budget back.
pub(crate) struct Whole {
    /// The bytes as they came.
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl Reader {
    /// For bodies of at most `max_body` bytes.
    pub(crate) fn new(max_body: usize) -> Self {
        Self { budget: Arc::new(Semaphore::new(BUDGET_BYTES.max(4 * max_body))), max_body }
    }

    /// Whether `Content-Length` is already above the limit.
    pub(crate) fn announces_too_large(&self, body: &Body) -> bool {
        u64::try_from(self.max_body).is_ok_and(|max| max < body.size_hint().lower())
    }

    /// The refusal of a body that is too large.
    pub(crate) const fn too_large(&self) -> Refused {
        Refused::TooLarge(self.max_body)
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// [`Refused::TooLarge`], [`Refused::Slow`], [`Refused::Broken`] or [`Refused::Overloaded`].
    pub(crate) async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Whole, Refused> {
        let read = tokio::time::timeout(READ_WITHIN, self.collect(&mut body)).await;
        let end = read.unwrap_or(Err(Refused::Slow));
        if let Err(Refused::TooLarge(_) | Refused::Overloaded) = &end {
            linger(headers, body);
        }
        end
    }

    async fn collect(&self, body: &mut Body) -> Result<Whole, Refused> {
        // What is announced, so that it is copied once; but nobody gets much for an announcement.
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(RESERVE_MAX_BYTES);
        let reserve = announced.min(RESERVE_MAX_BYTES);
        let mut first: Option<Bytes> = None;
        let mut more = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        let mut paid = FREE_BYTES;
        while let Some(frame) = body.frame().await {
            // Trailers are ignored.
            let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else { continue };
            let length = first.as_ref().map_or(more.len(), Bytes::len) + data.len();
            if self.max_body < length {
                return Err(self.too_large());
            }
            if paid < length {
                let due = u32::try_from(length - paid).map_err(|_| Refused::Overloaded)?;
                let bought = self
                    .budget
                    .clone()
                    .try_acquire_many_owned(due)
                    .map_err(|_| Refused::Overloaded)?;
                match &mut share {
                    Some(share) => share.merge(bought),
                    None => share = Some(bought),
                }
                paid = length;
            }
            // Most bodies come in one piece, which need not be copied.
            match first.take() {
                None if more.is_empty() => first = Some(data),
                None => more.extend_from_slice(&data),
                Some(piece) => {
                    more.reserve(reserve.max(length));
                    more.extend_from_slice(&piece);
                    more.extend_from_slice(&data);
                }
            }
        }
        Ok(Whole { bytes: first.unwrap_or_else(|| more.freeze()), _share: share })
    }
}

/// Reads on for a moment and drops what it reads, so that a client that is still writing sees its answer.
pub(crate) fn linger(headers: &HeaderMap, mut body: Body) {
    // A client that sent `Expect: 100-continue` is not writing yet; reading on would make it begin.
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(tokio::time::timeout(LINGER, async move {
        let mut forgotten = 0;
        while let Some(Ok(frame)) = body.frame().await {
            forgotten += frame.data_ref().map_or(0, Bytes::len);
            if LINGER_BYTES < forgotten {
                return;
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: Vec<Vec<u8>>) -> Body {
        Body::from_stream(futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
    }

    async fn read(reader: &Reader, body: Body) -> Result<Whole, Refused> {
        reader.read(&HeaderMap::new(), body).await
    }

    #[tokio::test]
    async fn a_body_comes_out_as_it_went_in() {
        let reader = Reader::new(100_000);
        for sizes in [vec![], vec![0], vec![10], vec![3, 0, 5], vec![60_000, 40_000]] {
            let sent: Vec<Vec<u8>> =
                sizes.iter().map(|size| (0..*size).map(|n| (n % 251) as u8).collect()).collect();
            let whole = read(&reader, pieces(sent.clone())).await.ok().unwrap();
            assert_eq!(whole.bytes, sent.concat());
        }
        assert!(matches!(
            read(&reader, pieces(vec![vec![0; 60_000], vec![0; 40_001]])).await,
            Err(Refused::TooLarge(100_000))
        ));
        assert!(reader.announces_too_large(&Body::from(vec![0; 100_001])));
        assert!(!reader.announces_too_large(&Body::from(vec![0; 100_000])));
    }

    #[tokio::test]
    async fn small_bodies_get_in_while_large_ones_hold_the_budget() {
        let reader = Reader::new(10 << 20);
        let all = reader.budget.available_permits();
        let mut held = Vec::new();
        while let Ok(whole) = read(&reader, pieces(vec![vec![0; 10 << 20]])).await {
            held.push(whole);
        }
        assert_eq!(held.len(), 4);
        assert!(matches!(
            read(&reader, pieces(vec![vec![0; 5 << 20], vec![0; 5 << 20]])).await,
            Err(Refused::Overloaded)
        ));
        assert!(read(&reader, pieces(vec![vec![0; FREE_BYTES]])).await.is_ok());
        drop(held);
        assert_eq!(reader.budget.available_permits(), all, "everything comes back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let stream = futures::stream::once(async { Ok::<_, std::io::Error>(vec![1]) });
        let body = Body::from_stream(futures::StreamExt::chain(stream, futures::stream::pending()));
        assert!(matches!(read(&Reader::new(10_000), body).await, Err(Refused::Slow)));
    }
}
