//! The failpoint `normalize.rule`, for tests of replay: `HOOKLINE_FAILPOINTS=normalize.rule=change` makes a worker normalise as another
//! release might. Unarmed it changes nothing.

use schemas::Fact;

use crate::output::{Normalized, Output};

/// Where the failpoint is armed, messages that say `blue` are read differently, and receipts are no facts.
pub(super) fn apply(mut normalized: Normalized) -> Normalized {
    if !runtime::failpoint::changed("normalize.rule") {
        return normalized;
    }
    normalized.outputs.retain(|output| {
        !matches!(output, Output::Fact(draft) if matches!(draft.event.data.fact, Fact::MessageRead(_)))
    });
    for output in &mut normalized.outputs {
        if let Output::Fact(draft) = output
            && let Fact::MessageReceived(message) = &mut draft.event.data.fact
            && let Some(text) = &mut message.text
            && text.contains("blue")
        {
            *text = text.to_uppercase();
        }
    }
    normalized
}
