//! ◆ Pure: whether a receiver works. After many failures in a row the endpoint is failing: nothing more is read for it, and one request at a
//! time looks whether it works again.
//!
//! Those requests take turns between events that are held and the next one of the stream: a few conversations that always fail must not keep
//! all others back.

use std::time::Duration;

use delivery::Outcome;
use schemas::Timestamp;

use crate::schedule;

/// Failures in a row after which an endpoint is failing.
const FAILURES: u32 = 10;

/// How an endpoint is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Active,
    Failing,
    /// The receiver answered 410.
    Disabled,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn of(text: &str) -> Self {
        match text {
            "failing" => Self::Failing,
            "disabled" => Self::Disabled,
            _ => Self::Active,
        }
    }
}

/// Whose turn a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// An event that is held.
    Held,
    /// The next event of the stream.
    Next,
}

/// What is known of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    pub(crate) state: State,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last_success_at: Option<Timestamp>,
    pub(crate) last_failure_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
    failures: u32,
    probes: u32,
    probe_at: Option<Timestamp>,
    probing: bool,
    /// The last look was at an event of the stream.
    next_was_last: bool,
}

impl Breaker {
    /// As it was stored.
    pub(crate) fn stored(
        state: State,
        failing_since: Option<Timestamp>,
        last_success_at: Option<Timestamp>,
        last_failure_at: Option<Timestamp>,
        last_error: Option<String>,
    ) -> Self {
        Self {
            state,
            failing_since,
            last_success_at,
            last_failure_at,
            last_error,
            ..Self::default()
        }
    }

    /// A request ended. `true`: the endpoint was failing and works again.
    pub(crate) fn note(
        &mut self,
        outcome: Outcome,
        retry_after: Option<Duration>,
        now: Timestamp,
        jitter: f64,
    ) -> bool {
        let probed = std::mem::take(&mut self.probing);
        if outcome == Outcome::Delivered {
            self.last_success_at = Some(now);
            self.failures = 0;
            let works_again = self.state == State::Failing;
            if works_again {
                (self.state, self.failing_since, self.probes) = (State::Active, None, 0);
            }
            return works_again;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure_at = Some(now);
        self.last_error = Some(outcome.in_words());
        if outcome == Outcome::Gone {
            self.state = State::Disabled;
        } else if self.state == State::Active && self.failures >= FAILURES {
            (self.state, self.failing_since, self.probes) = (State::Failing, Some(now), 0);
        }
        if self.state == State::Failing {
            let since = self.failing_since.unwrap_or(now);
            let pause = schedule::probe_pause(self.probes, now.since(since), jitter);
            self.probe_at = Some(now.plus(pause.max(retry_after.unwrap_or_default())));
            if probed {
                self.probes = self.probes.saturating_add(1);
            }
        }
        false
    }

    /// Takes the turn for a look. `other`: somebody else has something to look with.
    pub(crate) fn may_probe(&mut self, turn: Turn, other: bool, now: Timestamp) -> bool {
        if self.state != State::Failing
            || self.probing
            || self.probe_at.is_some_and(|at| now < at)
            || (other && self.next_was_last == (turn == Turn::Next))
        {
            return false;
        }
        self.probing = true;
        self.next_was_last = turn == Turn::Next;
        true
    }

    /// The look was not made.
    pub(crate) fn not_probed(&mut self) {
        self.probing = false;
    }

    /// Somebody changed the endpoint: it is tried as if nothing had been. Only a resume ends a 410.
    pub(crate) fn changed(&mut self, resumed: bool) {
        if self.state == State::Failing || (self.state == State::Disabled && resumed) {
            (self.state, self.failing_since) = (State::Active, None);
        }
        (self.failures, self.probes, self.probe_at, self.probing) = (0, 0, None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Outcome = Outcome::Status(503);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn failing() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(!breaker.note(FAILED, None, at(100), 0.5));
        }
        breaker
    }

    #[test]
    fn ten_failures_in_a_row_and_no_fewer() {
        let mut breaker = Breaker::default();
        for n in 0..30 {
            breaker.note(if n % 10 == 9 { Outcome::Delivered } else { FAILED }, None, at(n), 0.5);
            assert_eq!(breaker.state, State::Active);
        }
        let breaker = failing();
        assert_eq!((breaker.state, breaker.failing_since), (State::Failing, Some(at(100))));
        assert_eq!(breaker.last_error.as_deref(), Some("status 503"));
    }

    #[test]
    fn one_look_at_a_time_in_turns_and_with_pauses() {
        let mut breaker = failing();
        assert!(!breaker.may_probe(Turn::Held, true, at(100)), "too early");
        assert!(breaker.may_probe(Turn::Next, true, at(101)));
        assert!(!breaker.may_probe(Turn::Held, true, at(101)), "one at a time");
        breaker.note(FAILED, None, at(102), 0.5);
        assert!(!breaker.may_probe(Turn::Next, true, at(110)), "the other's turn");
        assert!(breaker.may_probe(Turn::Held, true, at(110)));
        breaker.note(FAILED, None, at(110), 0.5);
        assert!(!breaker.may_probe(Turn::Next, true, at(111)), "pauses grow");
        assert!(breaker.may_probe(Turn::Next, true, at(112)));
        breaker.not_probed();
        assert!(breaker.may_probe(Turn::Next, false, at(112)), "there is nobody else");
        assert!(breaker.note(Outcome::Delivered, None, at(113), 0.5), "it works again");
        assert_eq!((breaker.state, breaker.failing_since), (State::Active, None));
        assert!(!breaker.note(Outcome::Delivered, None, at(114), 0.5));
    }

    #[test]
    fn only_a_resume_ends_a_410() {
        let mut breaker = Breaker::default();
        breaker.note(Outcome::Gone, None, at(1), 0.5);
        breaker.note(Outcome::Delivered, None, at(2), 0.5);
        breaker.changed(false);
        assert_eq!(breaker.state, State::Disabled);
        breaker.changed(true);
        assert_eq!(breaker.state, State::Active);
        let mut breaker = failing();
        breaker.changed(false);
        assert_eq!(breaker.state, State::Active);
    }
}
