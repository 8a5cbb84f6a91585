//! A clock that nobody sets, for pauses and paces inside a process.

use std::time::{Duration, Instant};

use crate::deadline::since_boot;

/// A point in time of this process. It means nothing to another process or a database: what these are to know is how long something
/// lasts, and they date it by their own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steady(Duration);

impl Steady {
    /// Now. The time during which the machine sleeps counts, where the system knows it.
    pub fn now() -> Self {
        static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Self(since_boot().unwrap_or_else(|| FIRST.get_or_init(Instant::now).elapsed()))
    }

    /// This long after an origin that no two processes share.
    pub const fn after(duration: Duration) -> Self {
        Self(duration)
    }

    /// This long after it.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// This long before it; the origin, where that is later.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }

    /// How long after `earlier` it is; zero where it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let first = Steady::now();
        assert!(first <= Steady::now());
        let later = first.plus(Duration::from_secs(3));
        assert_eq!(later.since(first), Duration::from_secs(3));
        assert_eq!(first.since(later), Duration::ZERO);
    }
}
