//! ◆ Pure: the content of an unsent message goes for good.

use schemas::{Fact, Kind};

use crate::fold::row_fact::RowFact;

/// Whether the content of a message is erased. A withdrawn deletion erases too: what was removed cannot come back, so it must not matter
/// whether the withdrawal came first.
pub(crate) fn is_erased(facts: &[RowFact]) -> bool {
    facts.iter().any(|fact| fact.kind == Kind::MessageDeleted)
}

/// Of an unsent message the stored facts that still have content, without it.
pub(crate) fn scrubbed(facts: &[RowFact]) -> Vec<RowFact> {
    if !is_erased(facts) {
        return Vec::new();
    }
    facts.iter().filter_map(scrub).collect()
}

fn scrub(fact: &RowFact) -> Option<RowFact> {
    let mut statement = fact.statement.clone()?;
    match &mut statement.fact {
        Fact::PostbackReceived(postback) => {
            postback.title = String::new();
            postback.payload = None;
        }
        fact => {
            fact.erase_content(|_| true);
        }
    }
    (fact.statement.as_ref() != Some(&statement))
        .then(|| RowFact { statement: Some(statement), ..fact.clone() })
}
