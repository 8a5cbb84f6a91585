//! Whose search is next: a small number at once, and no token has more than that in line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Searches at once, in one process: whatever they cost, most connections and processors stay for other requests.
const AT_ONCE: usize = 2;
/// How long a search may wait for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// Whose turn it is. A token never has more than [`AT_ONCE`] searches in line, so one that sends many at once delays itself and not others.
pub(crate) struct Searches {
    all: Arc<Semaphore>,
    by_token: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, given back on drop.
pub(super) struct Turn(#[allow(dead_code)] [OwnedSemaphorePermit; 2]);

impl Default for Searches {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), by_token: Mutex::default() }
    }
}

impl Searches {
    /// Waits for a turn of this token.
    ///
    /// # Errors
    /// 503 after [`TURN_WITHIN`].
    pub(super) async fn turn(&self, token: &str) -> Result<Turn, Problem> {
        let own = {
            let mut tokens = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
            // Tokens are those of the configuration, so this stays small.
            let own = tokens.entry(token.to_owned());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        let all = Arc::clone(&self.all);
        let both = async move {
            let own = own.acquire_owned().await.ok()?;
            Some(Turn([own, all.acquire_owned().await.ok()?]))
        };
        let turn = tokio::time::timeout(TURN_WITHIN, both).await;
        turn.ok().flatten().ok_or_else(|| Problem::search_busy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_with_many_searches_waits_for_itself() {
        let searches = Arc::new(Searches::default());
        let began = tokio::time::Instant::now();
        let search = |token: &'static str| {
            let searches = Arc::clone(&searches);
            tokio::spawn(async move {
                let _turn = searches.turn(token).await.map_err(|_| ())?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, ()>(began.elapsed())
            })
        };
        let many: Vec<_> = (0..8).map(|_| search("many")).collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let other = search("other").await.unwrap().unwrap();
        assert!(other < Duration::from_millis(2_100), "{other:?}");
        for one in many {
            assert!(one.await.unwrap().unwrap() < Duration::from_millis(5_100));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_sent_away() {
        let searches = Searches::default();
        let _all = [searches.turn("a").await.ok().unwrap(), searches.turn("a").await.ok().unwrap()];
        let refused = searches.turn("b").await.err().unwrap();
        let refused = axum::response::IntoResponse::into_response(refused);
        assert_eq!(refused.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
    }
}
