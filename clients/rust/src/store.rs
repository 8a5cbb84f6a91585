//! What was handled already.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

use crate::BoxError;

/// Give one of your own, in the database that the handler writes to, to drop what comes twice across restarts: `add` may then do nothing, where
/// the handler has stored id and revision in the transaction of its effect.
pub trait Store: Send {
    /// Whether this revision was handled.
    fn has(
        &mut self,
        id: &str,
        revision: u32,
    ) -> impl Future<Output = Result<bool, BoxError>> + Send;
    /// It was.
    fn add(&mut self, id: &str, revision: u32)
    -> impl Future<Output = Result<(), BoxError>> + Send;
    /// Whether the event was withdrawn.
    fn is_withdrawn(&mut self, id: &str) -> impl Future<Output = Result<bool, BoxError>> + Send;
    /// It was.
    fn withdraw(&mut self, id: &str) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// The last events and withdrawals of this process, in memory.
#[derive(Debug)]
pub struct Window {
    handled: Bounded<(String, u32)>,
    withdrawn: Bounded<String>,
}

impl Window {
    /// One of the last `size` events, and as many withdrawals.
    pub fn new(size: usize) -> Self {
        Self { handled: Bounded::new(size), withdrawn: Bounded::new(size) }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl Store for Window {
    async fn has(&mut self, id: &str, revision: u32) -> Result<bool, BoxError> {
        Ok(self.handled.keys.contains(&(id.to_owned(), revision)))
    }

    async fn add(&mut self, id: &str, revision: u32) -> Result<(), BoxError> {
        self.handled.add((id.to_owned(), revision));
        Ok(())
    }

    async fn is_withdrawn(&mut self, id: &str) -> Result<bool, BoxError> {
        Ok(self.withdrawn.keys.contains(id))
    }

    async fn withdraw(&mut self, id: &str) -> Result<(), BoxError> {
        self.withdrawn.add(id.to_owned());
        Ok(())
    }
}

/// A set that forgets the oldest.
#[derive(Debug)]
struct Bounded<K> {
    size: usize,
    keys: HashSet<K>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash> Bounded<K> {
    fn new(size: usize) -> Self {
        Self { size, keys: HashSet::new(), order: VecDeque::new() }
    }

    fn add(&mut self, key: K) {
        if !self.keys.insert(key.clone()) {
            return;
        }
        self.order.push_back(key);
        if self.size < self.order.len()
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}
