//! ◆ Pure: how many sends of one account may be in flight at once.
//!
//! Few to begin with, after a rest and after every trouble, so that an expired token or a limit costs few calls; more while all goes
//! well.

use std::time::Duration;

use runtime::steady::Steady;

/// To begin with, and after trouble.
pub(crate) const IN_FLIGHT_MIN: u32 = 2;
/// At most.
pub(crate) const IN_FLIGHT_MAX: u32 = 16;
/// Successes in a row for one more. A token that expires on a usual day costs two calls; in the middle of a long burst, what is in flight.
const STEP: u32 = 50;
/// Without a send for this long, the last successes say nothing about the next one.
const REST: Duration = Duration::from_secs(5);

/// The pace of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    allowed: u32,
    streak: u32,
    in_flight: u32,
    /// When the last place was given back.
    ended_at: Option<Steady>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { allowed: IN_FLIGHT_MIN, streak: 0, in_flight: 0, ended_at: None }
    }
}

impl Pace {
    /// How many may be in flight at once.
    pub(crate) const fn allowed(&self) -> u32 {
        self.allowed
    }

    /// Takes a place, if there is one.
    pub(crate) fn start(&mut self, now: Steady) -> bool {
        let rested = self.ended_at.is_some_and(|ended| REST < now.since(ended));
        if self.in_flight == 0 && rested {
            self.went_wrong();
        }
        let free = self.in_flight < self.allowed;
        if free {
            self.in_flight += 1;
        }
        free
    }

    /// Gives the place back.
    pub(crate) const fn end(&mut self, now: Steady) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.ended_at = Some(now);
    }

    /// Meta answered as it should.
    pub(crate) const fn went_well(&mut self) {
        self.streak += 1;
        if STEP <= self.streak && self.allowed < IN_FLIGHT_MAX {
            self.allowed += 1;
            self.streak = 0;
        }
    }

    /// A limit, a refused token, or no answer.
    pub(crate) const fn went_wrong(&mut self) {
        self.allowed = IN_FLIGHT_MIN;
        self.streak = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Steady {
        Steady::after(Duration::from_secs(1_000 + seconds))
    }

    #[test]
    fn it_grows_with_success_up_to_a_limit_and_falls_at_once() {
        let mut pace = Pace::default();
        assert!(pace.start(at(0)) && pace.start(at(0)) && !pace.start(at(0)));
        (1..50).for_each(|_| pace.went_well());
        assert!(!pace.start(at(0)), "a refused token costs one call more, not two");
        for _ in 0..1_000 {
            pace.went_well();
        }
        let more = (0..100).filter(|_| pace.start(at(0))).count();
        assert_eq!(more, 14);
        pace.went_wrong();
        pace.end(at(0));
        assert!(!pace.start(at(0)));
    }

    #[test]
    fn after_a_rest_it_begins_anew() {
        let mut pace = Pace::default();
        for _ in 0..1_000 {
            pace.went_well();
        }
        let places = |pace: &mut Pace, now| {
            let taken = (0..100).filter(|_| pace.start(now)).count();
            (0..taken).for_each(|_| pace.end(now));
            taken
        };
        assert_eq!(places(&mut pace, at(0)), 16);
        assert_eq!(places(&mut pace, at(5)), 16);
        assert_eq!(places(&mut pace, at(11)), 2);
    }
}
