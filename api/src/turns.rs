//! What few may do at once, shared fairly: no token has more than its part of the places, whoever waits for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for all, and the part of them that one token may have. A token that asks for many at once waits for itself, not others for it.
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    of_token: usize,
    by_token: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place, given back on drop.
#[derive(Debug)]
pub(crate) struct Turn(#[allow(dead_code)] [OwnedSemaphorePermit; 2]);

/// Why there is no place at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The token has its part.
    Token,
    /// All are taken.
    All,
}

impl Turns {
    /// So many places, and so many of them for one token.
    pub(crate) fn new(all: usize, of_token: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_token, by_token: Mutex::default() }
    }

    fn of(&self, token: &str) -> Arc<Semaphore> {
        let mut tokens = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        // Tokens are those of the configuration, so this stays small.
        let own = tokens.entry(token.to_owned());
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(self.of_token))))
    }

    /// Waits for a place. `None` does not occur: the places are never closed.
    pub(crate) async fn turn(&self, token: &str) -> Option<Turn> {
        let own = self.of(token).acquire_owned().await.ok()?;
        Some(Turn([own, Arc::clone(&self.all).acquire_owned().await.ok()?]))
    }

    /// A place at once.
    ///
    /// # Errors
    /// [`Full`]
    pub(crate) fn at_once(&self, token: &str) -> Result<Turn, Full> {
        let own = self.of(token).try_acquire_owned().map_err(|_| Full::Token)?;
        let all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        Ok(Turn([own, all]))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_with_many_waits_for_itself() {
        let turns = Arc::new(Turns::new(2, 2));
        let began = tokio::time::Instant::now();
        let take = |token: &'static str| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move {
                let _turn = turns.turn(token).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                began.elapsed()
            })
        };
        let many: Vec<_> = (0..8).map(|_| take("many")).collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let other = take("other").await.unwrap();
        assert!(other < Duration::from_millis(2_100), "{other:?}");
        for one in many {
            assert!(one.await.unwrap() < Duration::from_millis(5_100));
        }
    }

    #[test]
    fn who_cannot_wait_learns_whose_places_are_taken() {
        let turns = Turns::new(3, 2);
        let _two = [turns.at_once("a").ok().unwrap(), turns.at_once("a").ok().unwrap()];
        assert_eq!(turns.at_once("a").err(), Some(Full::Token));
        let third = turns.at_once("b").ok();
        assert!(third.is_some());
        assert_eq!(turns.at_once("c").err(), Some(Full::All));
        drop(third);
        assert!(turns.at_once("c").is_ok());
    }
}
