//! ◆ Pure: how long to wait before trying again.

use std::time::Duration;

/// Exponential delays with jitter, for loops that never give up.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    /// Delays from `min`, doubling, up to `max`.
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, attempt: 0 }
    }

    /// The next delay; `jitter` in 0.0–1.0 moves it between half and the whole of the exponential value.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let delay = delay(self.min, self.max, self.attempt, jitter);
        self.attempt = self.attempt.saturating_add(1);
        delay
    }

    /// Starts over after a success.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many delays were handed out since the last success.
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }
}

/// The delay before attempt number `attempt` (from 0): `min * 2^attempt`, at most `max`, of which `jitter` (0.0–1.0) keeps between half and
/// all.
pub fn delay(min: Duration, max: Duration, attempt: u32, jitter: f64) -> Duration {
    let whole = min.saturating_mul(1_u32.checked_shl(attempt.min(31)).unwrap_or(u32::MAX)).min(max);
    whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<_> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 50);
        assert_eq!(
            delay(Duration::from_secs(1), Duration::from_secs(600), 4_000, 1.0).as_secs(),
            600
        );
    }
}
