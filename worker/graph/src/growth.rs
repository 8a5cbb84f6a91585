//! ◆ Pure: which set of webhook fields to ask for next. A POST replaces the whole set, and one field that is refused refuses all of them
//! (docs/meta-platform-2.md 16.4): so what is there is part of every set, and a refused set is grown field by field.

use std::collections::{BTreeSet, VecDeque};

/// Meta's numbers of a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) code: Option<i64>,
    pub(crate) subcode: Option<i64>,
}

/// A set that grows.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    accepted: BTreeSet<String>,
    left: VecDeque<&'static str>,
    refused: Vec<(&'static str, Numbers)>,
    /// Everything at once is what is tried first.
    whole: bool,
}

impl Growth {
    /// From what is there to all that is wanted, the most important first.
    pub(crate) fn new(
        there: impl IntoIterator<Item = String>,
        wanted: impl Iterator<Item = &'static str>,
    ) -> Self {
        let accepted: BTreeSet<String> = there.into_iter().collect();
        let left: VecDeque<_> = wanted.filter(|field| !accepted.contains(*field)).collect();
        // Where nothing is missing there is nothing to ask for.
        let whole = !left.is_empty();
        Self { accepted, left, refused: Vec::new(), whole }
    }

    /// The set to ask for; `None`: there is nothing more to ask.
    pub(crate) fn next(&self) -> Option<Vec<String>> {
        let more: Vec<&'static str> = match self.whole {
            true => self.left.iter().copied().collect(),
            false => vec![*self.left.front()?],
        };
        let mut set = self.accepted.clone();
        set.extend(more.into_iter().map(str::to_owned));
        Some(set.into_iter().collect())
    }

    /// The set that [`Growth::next`] named was taken.
    pub(crate) fn taken(&mut self) {
        match self.whole {
            true => {
                self.accepted.extend(self.left.drain(..).map(str::to_owned));
                self.whole = false;
            }
            false => self.accepted.extend(self.left.pop_front().map(str::to_owned)),
        }
    }

    /// It was refused; what was there before is still there.
    pub(crate) fn refused(&mut self, numbers: Numbers) {
        if std::mem::take(&mut self.whole) {
            return;
        }
        self.refused.extend(self.left.pop_front().map(|field| (field, numbers)));
    }

    /// Why a field was refused, where it was.
    pub(crate) fn refusal(&self, field: &str) -> Option<Numbers> {
        self.refused.iter().find(|(name, _)| *name == field).map(|(_, numbers)| *numbers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 6] = ["messages", "a", "b", "c", "d", "e"];

    proptest! {
        /// Whatever is there and whatever Meta refuses: what was there stays at every step, all that may be had is had, in few calls.
        #[test]
        fn nothing_is_taken_away_and_all_that_may_be_had_is_had(
            there in proptest::sample::subsequence(vec!["messages", "a", "b", "x", "y"], 0..=5),
            forbidden in proptest::sample::subsequence(ALL.to_vec(), 0..=6),
        ) {
            // What is there is granted.
            let forbidden: Vec<&str> = forbidden.into_iter().filter(|field| !there.contains(field)).collect();
            let mut at_meta: BTreeSet<String> = there.iter().map(|field| (*field).to_owned()).collect();
            let mut growth = Growth::new(at_meta.clone(), ALL.into_iter());
            let mut calls = 0;
            while let Some(set) = growth.next() {
                calls += 1;
                prop_assert!(calls <= ALL.len() + 1);
                prop_assert!(ALL.iter().any(|field| !there.contains(field)), "asked for what is there");
                if set.iter().any(|field| forbidden.contains(&field.as_str())) {
                    growth.refused(Numbers { code: Some(100), subcode: None });
                } else {
                    at_meta = set.into_iter().collect();
                    growth.taken();
                }
                prop_assert!(there.iter().all(|field| at_meta.contains(*field)), "{at_meta:?}");
            }
            for field in ALL {
                prop_assert_eq!(at_meta.contains(field), !forbidden.contains(&field), "{}", field);
                prop_assert_eq!(growth.refusal(field).is_some(), forbidden.contains(&field), "{}", field);
            }
        }
    }
}
