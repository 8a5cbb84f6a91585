//! ◆ Pure: how much of the work under way is whose.

use std::collections::BTreeMap;

/// Items under way, by owner.
#[derive(Debug)]
pub struct UnderWay<K> {
    counts: BTreeMap<K, i64>,
    total: usize,
}

impl<K> Default for UnderWay<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), total: 0 }
    }
}

impl<K: Ord> UnderWay<K> {
    /// How many there are.
    pub const fn count(&self) -> usize {
        self.total
    }

    /// Owners with their counts, all above zero: what a statement that claims more takes into account.
    pub fn by_owner(&self) -> impl Iterator<Item = (&K, i64)> {
        self.counts.iter().map(|(owner, count)| (owner, *count))
    }

    pub(super) fn begin(&mut self, owner: K) {
        *self.counts.entry(owner).or_default() += 1;
        self.total += 1;
    }

    pub(super) fn end(&mut self, owner: &K) {
        if let Some(count) = self.counts.get_mut(owner) {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.counts.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_ends() {
        let mut under_way = UnderWay::default();
        for owner in ["one", "one", "other"] {
            under_way.begin(owner);
        }
        assert_eq!(under_way.by_owner().collect::<Vec<_>>(), [(&"one", 2), (&"other", 1)]);
        under_way.end(&"other");
        under_way.end(&"nobody");
        assert_eq!(under_way.count(), 2);
        assert_eq!(under_way.by_owner().collect::<Vec<_>>(), [(&"one", 2)]);
    }
}
