//! ◆ Pure: when an event that was not delivered is tried again. It is never given up: after three days it is tried once a day.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
/// Pauses after the first failure, the second one, and so on; the last one repeats.
const PAUSES: [u64; 11] = [
    5,
    30,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
    24 * HOUR,
];
/// A pause is longer or shorter by up to so much, so that not all come at once.
const JITTER: f64 = 0.2;

/// The pause after failure number `failures`, from 1. A receiver may ask for a longer one, never for a shorter one.
pub(crate) fn pause(failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let at = usize::try_from(failures.max(1) - 1).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let factor = 1.0 + JITTER * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
    let pause = Duration::from_secs(PAUSES[at]).mul_f64(factor);
    retry_after.map_or(pause, |asked| pause.max(asked))
}

/// Pauses between two requests that look whether a failing endpoint works again.
pub(crate) fn probe_pause(probes: u32, failing_for: Duration, jitter: f64) -> Duration {
    if failing_for < Duration::from_secs(HOUR) {
        let seconds = 2_u64.saturating_pow(probes.min(6)).min(MINUTE);
        let factor = 1.0 + JITTER * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
        return Duration::from_secs(seconds).mul_f64(factor).min(Duration::from_secs(MINUTE));
    }
    // From five minutes on, and never longer than an hour: whoever mends a receiver should not wait for a day.
    pause(3 + probes.saturating_sub(60) / 12, None, jitter).min(Duration::from_secs(HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_over_three_days_and_go_on_for_ever() {
        let middle = |failures| pause(failures, None, 0.5).as_secs();
        assert_eq!([1, 2, 3, 4].map(middle), [5, 30, 300, 1_800]);
        let ten: u64 = (1..=10).map(middle).sum();
        assert!((70..80).contains(&(ten / HOUR)), "{ten}");
        assert_eq!(middle(11), 24 * HOUR);
        assert_eq!(middle(u32::MAX), 24 * HOUR);
        assert_eq!(
            (pause(1, None, 0.0), pause(1, None, 1.0)),
            (Duration::from_secs(4), Duration::from_secs(6))
        );
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_only() {
        let asked = |seconds| pause(2, Some(Duration::from_secs(seconds)), 0.5).as_secs();
        assert_eq!((asked(1), asked(3_600)), (30, 3_600));
    }

    #[test]
    fn a_failing_endpoint_is_looked_at_every_minute_and_after_an_hour_less_often() {
        let first = |probes| probe_pause(probes, Duration::ZERO, 0.5).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 99].map(first), [1, 2, 4, 8, 16, 32, 60, 60]);
        let later = |probes| probe_pause(probes, Duration::from_secs(2 * HOUR), 0.5).as_secs();
        assert_eq!([10, 60, 80, 1_000].map(later), [300, 300, 1_800, 3_600]);
    }
}
