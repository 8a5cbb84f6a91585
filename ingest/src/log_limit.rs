//! ◆ Pure: a limit for log lines whose number strangers decide.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(10);

/// Allows one line in ten seconds and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Option<Instant>,
    kept_back: u64,
}

impl LogLimit {
    /// `Some`: log now, with the number of lines that were suppressed since the last.
    pub(crate) fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + PAUSE) {
            self.kept_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds() {
        let (start, mut quiet) = (Instant::now(), LogLimit::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(quiet.allow(at(0)), Some(0));
        assert_eq!(quiet.allow(at(1)), None);
        assert_eq!(quiet.allow(at(9)), None);
        assert_eq!(quiet.allow(at(10)), Some(2));
        assert_eq!(quiet.allow(at(11)), None);
    }
}
