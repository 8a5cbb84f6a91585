//! Points in time that a process does not outlive in its sleep.

use std::time::{Duration, Instant, SystemTime};

/// Now, by every clock of the machine. The monotonic one stands still while the machine sleeps; the one since boot does not, where the
/// system has it; the wall clock does not either, and may be set.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    monotonic: Instant,
    since_boot: Option<Duration>,
    wall: SystemTime,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), since_boot: since_boot(), wall: SystemTime::now() }
    }

    /// This long after it.
    pub fn plus(self, lasts: Duration) -> Deadline {
        Deadline(Self {
            monotonic: self.monotonic + lasts,
            since_boot: self.since_boot.map(|since| since + lasts),
            wall: self.wall + lasts,
        })
    }
}

/// When something must be over. It is over once any clock says so: a clock that was set forward ends it early, which is safe.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Moment);

impl Deadline {
    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        self.is_over_at(&Moment::now())
    }

    fn is_over_at(&self, now: &Moment) -> bool {
        let boot = self.0.since_boot.zip(now.since_boot);
        self.0.monotonic <= now.monotonic
            || boot.is_some_and(|(end, now)| end <= now)
            || self.0.wall <= now.wall
    }

    /// How long it is until then by the monotonic clock; zero once it is over.
    pub fn left(&self) -> Duration {
        if self.is_over() {
            return Duration::ZERO;
        }
        self.0.monotonic.saturating_duration_since(Instant::now())
    }

    /// By the monotonic clock, for timers. Look at [`Deadline::is_over`] when one ends.
    pub const fn monotonic(&self) -> Instant {
        self.0.monotonic
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn since_boot() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    Some(Duration::new(seconds, nanos))
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn since_boot() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn any_clock_ends_it() {
        let begun = Moment::now();
        let deadline = begun.plus(10 * SECOND);
        let later = |monotonic, boot, wall| Moment {
            monotonic: begun.monotonic + monotonic * SECOND,
            since_boot: begun.since_boot.map(|since| since + boot * SECOND),
            wall: begun.wall + wall * SECOND,
        };
        assert!(!deadline.is_over_at(&later(9, 9, 9)));
        assert!(deadline.is_over_at(&later(10, 9, 9)));
        assert!(deadline.is_over_at(&later(0, 0, 600)));
        // The machine slept: the monotonic clock stood still.
        assert_eq!(deadline.is_over_at(&later(1, 600, 0)), begun.since_boot.is_some());
        // The wall clock was set back.
        let set_back = Moment { wall: begun.wall - 600 * SECOND, ..later(11, 11, 0) };
        assert!(deadline.is_over_at(&set_back));
    }

    #[test]
    fn what_is_left_ends_at_zero() {
        let deadline = Moment::now().plus(100 * SECOND);
        assert!(!deadline.is_over() && deadline.left() > 90 * SECOND);
        assert_eq!(Moment::now().plus(Duration::ZERO).left(), Duration::ZERO);
    }
}
