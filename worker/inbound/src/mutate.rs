//! A normaliser with one rule changed, for tests of replay only: set by `HOOKLINE_FAILPOINTS=normalize.rule=change`, which is said loudly.

use schemas::Fact;

use super::output::{Normalized, Output};

/// As another release might read: messages that say `blue` are read differently, and receipts are no facts any more.
pub(super) fn changed(mut normalized: Normalized) -> Normalized {
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
