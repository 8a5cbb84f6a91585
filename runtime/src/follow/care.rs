//! ◆ Pure: when a follower looks its messages up one by one instead of having them delivered (docs/decisions/30).

use std::time::{Duration, Instant};

/// So many readable messages in a row, and they are delivered again.
const READABLE_MAX: u32 = 256;
/// Where an unreadable message was found, more may come: at the end of the stream, messages are looked up for this much longer.
const HOLD: Duration = Duration::from_secs(20);

/// Whether messages are looked up one by one.
#[derive(Debug, Default)]
pub(super) struct Care {
    careful: bool,
    /// Readable messages in a row since.
    readable: u32,
    hold_until: Option<Instant>,
}

impl Care {
    /// Whether the next message is to be looked up.
    pub(super) const fn is_careful(&self) -> bool {
        self.careful
    }

    /// Delivery broke off: what comes next may be what broke it.
    pub(super) const fn doubt(&mut self) {
        self.careful = true;
        self.readable = 0;
    }

    /// A message was looked up.
    pub(super) fn looked_up(&mut self, readable: bool, now: Instant) {
        if readable {
            self.readable += 1;
        } else {
            self.readable = 0;
            self.hold_until = Some(now + HOLD);
        }
        if READABLE_MAX <= self.readable {
            self.trust();
        }
    }

    /// No message is there to be looked up.
    pub(super) fn at_end(&mut self, now: Instant) {
        if self.hold_until.is_none_or(|until| until <= now) {
            self.trust();
        }
    }

    /// Looking up fails: delivery may work.
    pub(super) const fn trust(&mut self) {
        self.careful = false;
        self.hold_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_is_trusted_again_at_the_end_or_after_many_readable_messages() {
        let now = Instant::now();
        let mut care = Care::default();
        assert!(!care.is_careful());
        care.doubt();
        care.looked_up(true, now);
        assert!(care.is_careful());
        care.at_end(now);
        assert!(!care.is_careful(), "nothing unreadable was found");
        care.doubt();
        care.looked_up(false, now);
        care.at_end(now + HOLD / 2);
        assert!(care.is_careful(), "more may come");
        care.at_end(now + HOLD);
        assert!(!care.is_careful());
        care.doubt();
        care.looked_up(false, now);
        for _ in 0..READABLE_MAX {
            assert!(care.is_careful());
            care.looked_up(true, now);
        }
        assert!(!care.is_careful());
    }
}
