//! Postgres is put back to what it had before any step, any number of times, while the log of attempts keeps all.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::attempt_log::{Batch, Known, Placed, learn};

const KEY: &str = "k";

/// An attempt that begins now, as the log has it.
pub(super) fn entry(attempt: u32, now: Timestamp) -> Entry {
    let (started_at, deadline) = (now, now.plus(LEASE));
    Entry { identity: KEY.to_owned(), n: 0, attempt, started_at, deadline }
}

impl World {
    /// Postgres is put back; the worker meets the log, and learns.
    fn put_back(&mut self, share: f64) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let step = ((self.saved.len() - 1) as f64 * share) as usize;
        let known;
        (self.journal, self.first_at, self.uncertain, known) = self.saved[step].clone();
        let gap: Vec<Placed> = self.log[known..]
            .iter()
            .enumerate()
            .map(|(n, entry)| Placed {
                shard: 0,
                batch: Batch::new("w", &format!("w-{n}"), vec![entry.clone()]),
            })
            .collect();
        let row = Known {
            state: self.journal.state,
            attempt: self.journal.attempt,
            accepted_at: self.journal.planned_at,
        };
        let ledger = [((KEY.to_owned(), 0), row)].into();
        let learnt = learn(&gap, &HashSet::new(), &ledger);
        let Some(logged) = learnt.recalled.get(&(KEY.to_owned(), 0)) else { return };
        let journal = &mut self.journal;
        (journal.state, journal.attempt, journal.lost) = (PartState::Sending, logged.attempt, true);
        (journal.looks, journal.absent_at, journal.not_before) = (0, None, None);
        (journal.started_at, journal.deadline) = (Some(logged.started_at), Some(logged.deadline));
        self.first_at = Some(self.first_at.map_or(logged.first_at, |at| at.min(logged.first_at)));
        self.uncertain = true;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_ledger_put_back_to_any_step_sends_nothing_twice(
        fates in prop::collection::vec(fate(), 0..8),
        later in prop::collection::vec(fate(), 0..8),
        reads in prop::collection::vec(read(), 0..12),
        put_back in prop::collection::vec(0.0_f64..1.0, 1..4),
        repeat in prop_oneof![Just(Repeat::AfterProof), Just(Repeat::Never), Just(Repeat::OneTry)],
    ) {
        let mut world = World::new(repeat);
        world.run(&fates, &reads);
        for share in put_back {
            world.put_back(share);
            world.run(&later, &reads);
            prop_assert!(world.delivered.len() <= 1, "{:?}", world.delivered);
            prop_assert!(world.journal.state.is_final());
            if world.journal.state == PartState::Sent {
                prop_assert_eq!(world.delivered.len(), 1);
            }
        }
    }
}

/// Without the log it would be sent again: the test can fail.
#[test]
fn without_the_log_it_would_be_sent_twice() {
    let mut world = World::new(Repeat::AfterProof);
    world.run(&[Fate::Answered], &[]);
    world.log.clear();
    let known;
    (world.journal, world.first_at, world.uncertain, known) = world.saved[0].clone();
    assert_eq!(known, 0);
    world.run(&[Fate::Answered], &[]);
    assert_eq!(world.delivered.len(), 2);
}
