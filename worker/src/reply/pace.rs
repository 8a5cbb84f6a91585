//! ◆ Pure: how many sends of one account may be in flight at once.
//!
//! Few to begin with and after every trouble, so that an expired token or a limit costs few calls; more while all goes well.

/// To begin with, and after trouble.
pub const IN_FLIGHT_MIN: u32 = 2;
/// At most.
pub const IN_FLIGHT_MAX: u32 = 16;
/// Successes in a row for one more.
const STEP: u32 = 10;

/// The pace of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    allowed: u32,
    streak: u32,
    in_flight: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { allowed: IN_FLIGHT_MIN, streak: 0, in_flight: 0 }
    }
}

impl Pace {
    /// Takes a place, if there is one.
    pub const fn start(&mut self) -> bool {
        let free = self.in_flight < self.allowed;
        if free {
            self.in_flight += 1;
        }
        free
    }

    /// Gives the place back.
    pub const fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Meta answered as it should.
    pub const fn went_well(&mut self) {
        self.streak += 1;
        if STEP <= self.streak && self.allowed < IN_FLIGHT_MAX {
            self.allowed += 1;
            self.streak = 0;
        }
    }

    /// A limit, a refused token, or no answer.
    pub const fn went_wrong(&mut self) {
        self.allowed = IN_FLIGHT_MIN;
        self.streak = 0;
    }

    /// Nothing is in flight.
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_success_up_to_a_limit_and_falls_at_once() {
        let mut pace = Pace::default();
        assert!(pace.start() && pace.start() && !pace.start());
        for _ in 0..1_000 {
            pace.went_well();
        }
        let more = (0..100).filter(|_| pace.start()).count();
        assert_eq!(more, 14);
        pace.went_wrong();
        pace.end();
        assert!(!pace.start());
    }
}
