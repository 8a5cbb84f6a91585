//! Whether the broker takes what is published, as far as the latest publishes show.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::PublishFailure;

/// How long a refusal for lack of room is reported. Only publishing shows that there is room again, so it must not be reported for ever.
const FULL_FOR: Duration = Duration::from_secs(15);
/// So many publishes in a row without an answer are more than a slow moment: nats-server does not answer at all where it cannot write.
const UNANSWERED_MAX: u32 = 3;

/// How the latest publishes ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Room(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    unanswered: u32,
    /// When the latest silence was noticed.
    silent_at: Option<Instant>,
    trouble: Option<(Instant, String)>,
}

impl Room {
    /// Why the latest publishes failed, with what to do.
    pub(super) fn trouble(&self) -> Option<String> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reason) = ends.trouble.as_ref()?;
        (at.elapsed() < FULL_FOR).then(|| reason.clone())
    }

    /// Remembers how a publish ended that began at `begun`. Silence counts only while the client is connected, and once for all publishes
    /// that were under way together.
    pub(super) fn note(&self, end: Result<(), &PublishFailure>, begun: Instant, connected: bool) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match end {
            Ok(()) => {
                if ends.unanswered > 0 || ends.trouble.is_some() {
                    *ends = Ends::default();
                }
            }
            Err(PublishFailure::Full(reason)) => {
                ends.trouble = Some((
                    Instant::now(),
                    format!(
                        "a stream is full ({reason}): raise its max_bytes, or the server's max_file_store and disk"
                    ),
                ));
            }
            Err(PublishFailure::TimedOut)
                if connected && ends.silent_at.is_none_or(|at| at <= begun) =>
            {
                ends.unanswered += 1;
                ends.silent_at = Some(Instant::now());
                if ends.unanswered >= UNANSWERED_MAX {
                    ends.trouble = Some((
                        Instant::now(),
                        format!(
                            "the broker is connected, but the last {} publishes had no answer: its disk may be full or failing (see its log; it stops a stream until it is restarted)",
                            ends.unanswered
                        ),
                    ));
                }
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_trouble_after_the_third_time_and_only_while_connected() {
        let room = Room::default();
        for _ in 0..3 {
            room.note(Err(&PublishFailure::TimedOut), Instant::now(), false);
        }
        assert_eq!(room.trouble(), None);
        let begun = Instant::now();
        for _ in 0..9 {
            room.note(Err(&PublishFailure::TimedOut), begun, true);
        }
        assert_eq!(room.trouble(), None, "they were under way together");
        for _ in 0..2 {
            room.note(Err(&PublishFailure::TimedOut), Instant::now(), true);
        }
        assert!(room.trouble().is_some_and(|reason| reason.contains("the last 3 publishes")));
        room.note(Ok(()), Instant::now(), true);
        assert_eq!(room.trouble(), None);
        let full = PublishFailure::Full("maximum bytes exceeded".to_owned());
        room.note(Err(&full), Instant::now(), true);
        assert!(room.trouble().is_some_and(|reason| reason.contains("maximum bytes exceeded")));
    }
}
