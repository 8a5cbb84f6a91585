//! ◆ Pure: the stages of a recovery, and what each has found.

use schemas::subjects::SHARDS;
use serde::{Deserialize, Serialize};

/// Raw webhooks of a shard that are read again at the end of a recovery, at least: so many the normaliser publishes at once, and those may have
/// been published in part.
const READ_AGAIN: u64 = inbound::recover::BATCH_MAX as u64;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// INBOX_EVENTS: facts and what follows from them.
    Events,
    /// META_RAW: reports, secrets, the waiting room, what was parked.
    Raws,
    /// INBOX_COMMANDS: the ledger.
    Commands,
    /// INBOX_ATTEMPTS: what may have been sent.
    Attempts,
    /// Where the readers go on.
    Positions,
}

schemas::words! {
    Stage, "stage of a recovery":
    Events = "events", Raws = "raws", Commands = "commands", Attempts = "attempts", Positions = "positions",
}
schemas::text_column!(Stage);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Events of INBOX_EVENTS that a worker had published.
    pub events: u64,
    /// Messages of INBOX_EVENTS that are no events this release knows.
    pub unreadable: u64,
    /// Raw webhooks that were read.
    pub raws: u64,
    /// Events that they give today and that were never published: `hookline replay` shows them.
    pub unpublished: u64,
    /// Rows that were parked again and wait for an operator.
    pub parked: u64,
    /// Sender-less items that wait again.
    pub waiting: u64,
    /// Parts of commands that the log of attempts knows.
    pub parts_attempted: u64,
    /// By shard of META_RAW.
    pub shards: [ShardRead; SHARDS as usize],
}

/// How far the raw webhooks of a shard had been read, as the events show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRead {
    /// Raw webhooks so far.
    seen: u64,
    /// A position with at least [`READ_AGAIN`] webhooks behind it, or 0.
    before: u64,
    /// The next such position.
    mark: u64,
    /// Where its reader goes on.
    pub position: u64,
}

impl ShardRead {
    /// A raw webhook comes, in order; `gave`: events came of it.
    pub fn see(&mut self, sequence: u64, gave: bool) {
        if self.seen.is_multiple_of(READ_AGAIN) {
            self.before = self.mark;
            self.mark = sequence.saturating_sub(1);
        }
        self.seen += 1;
        if gave {
            self.position = self.before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raws: u64, gave: impl Fn(u64) -> bool) -> u64 {
        let mut shard = ShardRead::default();
        (1..=raws).for_each(|n| shard.see(n * 10, gave(n)));
        shard.position
    }

    #[test]
    fn what_may_have_been_published_in_part_is_read_again() {
        assert_eq!(read(150, |_| true), 0);
        assert_eq!(read(399, |_| true), 9);
        // At least 200 before the last that gave an event, less than 400.
        for raws in 400..2_000 {
            let position = read(raws, |_| true);
            let again = raws - position / 10 - 1;
            assert!((200..400).contains(&again), "{raws}: {again}");
        }
    }

    #[test]
    fn what_gave_no_event_was_perhaps_not_read() {
        assert_eq!(read(5_000, |n| n <= 450), read(450, |_| true));
        assert_eq!(read(5_000, |_| false), 0);
    }
}
