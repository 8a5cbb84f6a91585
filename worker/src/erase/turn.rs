//! The steps of an erasure by name, and how one follows the other.

use facts::erase::{self, Erasure, Target};
use runtime::follow::stored;
use schemas::subjects::{META_RAW, RAW_WEBHOOKS};
use serde_json::{Value, json};

use super::work::{Moved, Work};

/// Among the counts: before the first raw webhook of messages.
pub(super) const RAWS_FROM: &str = "raw_webhooks_after";
/// Among the counts: the last raw webhook that is read. Those that come later are refused by the rule, and noted by who refuses.
pub(super) const RAWS_TO: &str = "raw_webhooks_up_to";
/// Among the counts: before the first event of messages.
pub(super) const EVENTS_FROM: &str = "events_after";
/// Among the counts: the last event that the step reads. What comes later is refused by the rule, or found by the look of step `tables`.
pub(super) const EVENTS_LAST: &str = "events_last";
/// Among the counts: how far INBOX_EVENTS was read.
pub(super) const EVENTS_TO: &str = "events_up_to";
/// Among the counts: since when the rule is published, in milliseconds.
pub(super) const RULED_AT: &str = "ruled_at";

/// A step of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The rule is published: from here on nothing comes in.
    Rule,
    /// The ledger forgets, and what was queued ends.
    Ledger,
    /// Each event is withdrawn, and then erased.
    Events,
    /// Raw webhooks are redacted.
    Raws,
    /// INBOX_COMMANDS and INBOX_DEAD.
    Commands,
    /// All other tables.
    Tables,
    /// The bytes that changed rows have left in Postgres's files.
    Scrub,
}

schemas::words! {
    Step, "step of an erasure":
    Rule = "rule", Ledger = "ledger", Events = "events", Raws = "raws", Commands = "commands", Tables = "tables", Scrub = "scrub",
}

/// The counts of an erasure with some more.
pub(super) fn counted(erasure: &Erasure, what: &str, more: u64) -> Value {
    let mut counts = erasure.counts.clone();
    let before = counts[what].as_u64().unwrap_or(0);
    counts[what] = json!(before + more);
    counts
}

/// Stores that a step is done; the next begins at a position.
pub(super) async fn turn(
    work: &Work,
    erasure: &Erasure,
    next: Step,
    from: u64,
    counts: &Value,
) -> anyhow::Result<Moved> {
    let mut conn = work.pool.acquire().await?;
    // Whoever was faster did the same.
    erase::advance(&mut conn, erasure, next.as_str(), from, counts).await?;
    Ok(Moved::On)
}

/// From where raw webhooks are read: those of a person from the first, for one may have come again before it was ever a fact.
pub(super) async fn turn_to_raws(
    work: &Work,
    erasure: &Erasure,
    target: &Target,
) -> anyhow::Result<Moved> {
    let from = match target {
        Target::Person(_) => 0,
        Target::Messages(_) => erasure.counts[RAWS_FROM].as_u64().unwrap_or(0),
    };
    let last = stored::last(work.broker.js(), META_RAW, RAW_WEBHOOKS).await?;
    let mut counts = erasure.counts.clone();
    counts[RAWS_TO] = json!(last.map_or(0, |last| last.sequence));
    counts[EVENTS_TO] = json!(erasure.position);
    turn(work, erasure, Step::Raws, from, &counts).await
}
