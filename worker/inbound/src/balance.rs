//! ◆ Pure: how shards are shared out over live workers.

use std::collections::BTreeSet;

/// How many of `shards` one of `members` workers may hold: enough for all shards to be held, however they are spread.
pub(super) fn share(shards: u32, members: u32) -> usize {
    shards.div_ceil(members.max(1)) as usize
}

/// Which of the held shards to release when only `allowed` may be held: the last ones.
pub(super) fn surplus(held: &BTreeSet<u32>, allowed: usize) -> Vec<u32> {
    held.iter().skip(allowed).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shards_are_held_by_any_number_of_workers() {
        for members in 0..12 {
            assert!(share(8, members) as u32 * members.max(1) >= 8, "{members}");
        }
        assert_eq!(
            (share(8, 1), share(8, 2), share(8, 3), share(8, 8), share(8, 9)),
            (8, 4, 3, 1, 1)
        );
    }

    #[test]
    fn a_newcomer_makes_others_let_go_of_what_is_too_much() {
        let held: BTreeSet<u32> = (0..8).collect();
        assert_eq!(surplus(&held, 4), [4, 5, 6, 7]);
        assert!(surplus(&held, 8).is_empty());
    }
}
