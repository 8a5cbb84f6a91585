//! ◆ Pure: what may be said in the log when strangers decide how often it happens.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(10);

/// Lets one line through every ten seconds and counts the others.
#[derive(Debug, Default)]
pub struct Quiet {
    last: Option<Instant>,
    kept_back: u64,
}

impl Quiet {
    /// Whether to say it now; then with the number of times it was not said since.
    pub fn may_say(&mut self, now: Instant) -> Option<u64> {
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
        let (start, mut quiet) = (Instant::now(), Quiet::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(quiet.may_say(at(0)), Some(0));
        assert_eq!(quiet.may_say(at(1)), None);
        assert_eq!(quiet.may_say(at(9)), None);
        assert_eq!(quiet.may_say(at(10)), Some(2));
        assert_eq!(quiet.may_say(at(11)), None);
    }
}
