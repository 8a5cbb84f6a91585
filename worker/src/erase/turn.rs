//! The steps of an erasure by name, and how one follows the other.

use facts::erase::{self, Erasure, Target};
use serde_json::{Value, json};

use super::work::{Moved, Work};

/// Among the counts: before the first raw webhook of messages.
pub(super) const RAWS_FROM: &str = "raw_webhooks_after";

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
}

schemas::words! {
    Step, "step of an erasure":
    Rule = "rule", Ledger = "ledger", Events = "events", Raws = "raws", Commands = "commands", Tables = "tables",
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
    turn(work, erasure, Step::Raws, from, &erasure.counts).await
}
