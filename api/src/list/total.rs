//! How many rows a list has: exact up to [`TOTAL_MAX`], beyond it a lower bound (docs/contract.md 7).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

/// The largest total that is reported exactly.
pub(crate) const TOTAL_MAX: i64 = 10_000;
/// How far statements count: so far beyond [`TOTAL_MAX`] that a list of this length stays beyond it for [`LARGE_FOR`].
pub(crate) const COUNT_MAX: i64 = 11_000;
/// How long a list that reached [`COUNT_MAX`] is not counted again.
const LARGE_FOR: Duration = Duration::from_secs(10);
/// Large lists that are remembered.
const LARGE_MAX: usize = 1_000;

/// How many rows there are with these filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Total {
    /// Exact up to 10,000.
    pub total: i64,
    /// `true`: there are more than `total`. Left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub total_is_lower_bound: bool,
}

impl Total {
    /// The total of a list that was counted up to [`COUNT_MAX`].
    pub(crate) fn of(counted: i64) -> Self {
        Self { total: counted.min(TOTAL_MAX), total_is_lower_bound: TOTAL_MAX < counted }
    }

    /// At least this many.
    pub(crate) fn at_least(counted: i64) -> Self {
        Self { total: counted.min(TOTAL_MAX), total_is_lower_bound: true }
    }
}

/// The lists that were large a moment ago, by scope: counting them again would give the same lower bound.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<HashMap<String, Instant>>);

impl Totals {
    /// The total of the list of `scope`; `count` counts its rows up to [`COUNT_MAX`].
    ///
    /// # Errors
    /// Of `count`.
    pub(crate) async fn get<E>(
        &self,
        scope: &str,
        count: impl Future<Output = Result<i64, E>>,
    ) -> Result<Total, E> {
        if self.is_large(scope, Instant::now()) {
            return Ok(Total::at_least(TOTAL_MAX));
        }
        let counted = count.await?;
        if COUNT_MAX <= counted {
            self.remember(scope, Instant::now());
        }
        Ok(Total::of(counted))
    }

    fn is_large(&self, scope: &str, now: Instant) -> bool {
        let large = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        large.get(scope).is_some_and(|seen| now.duration_since(*seen) < LARGE_FOR)
    }

    fn remember(&self, scope: &str, now: Instant) {
        let mut large = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if LARGE_MAX <= large.len() {
            large.retain(|_, seen| now.duration_since(*seen) < LARGE_FOR);
        }
        if large.len() < LARGE_MAX {
            large.insert(scope.to_owned(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_list_is_counted_once_and_a_small_one_each_time() {
        let totals = Totals::default();
        let count = async |scope: &str, counted: i64| {
            totals.get(scope, async { Ok::<_, ()>(counted) }).await.unwrap()
        };
        let exact = |total| Total { total, total_is_lower_bound: false };
        let more = Total { total: TOTAL_MAX, total_is_lower_bound: true };
        assert_eq!(count("a", 7).await, exact(7));
        assert_eq!(count("a", 8).await, exact(8));
        assert_eq!(count("a", TOTAL_MAX).await, exact(TOTAL_MAX));
        assert_eq!(count("a", TOTAL_MAX + 1).await, more);
        assert_eq!(count("a", 9).await, exact(9), "just beyond the limit is counted again");
        assert_eq!(count("a", COUNT_MAX).await, more);
        assert_eq!(count("a", 9).await, more);
        assert_eq!(count("b", 9).await, exact(9));
    }

    #[test]
    fn what_was_large_is_forgotten() {
        let totals = Totals::default();
        let now = Instant::now();
        totals.remember("a", now);
        assert!(totals.is_large("a", now) && !totals.is_large("a", now + LARGE_FOR));
        for n in 0..2 * LARGE_MAX {
            totals.remember(&n.to_string(), now);
        }
        assert!(totals.0.lock().unwrap().len() <= LARGE_MAX);
    }
}
