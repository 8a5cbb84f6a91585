//! ◆ Pure: the content of an unsent message goes for good.

use schemas::facts::ReplyTo;
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
        Fact::MessageReceived(message) | Fact::MessageSent(message) => {
            message.text = None;
            message.attachments = Vec::new();
            message.quick_reply = None;
            message.metadata = None;
            scrub_story(&mut message.reply_to);
        }
        Fact::ReplySent(reply) | Fact::ReplyFailed(reply) | Fact::ReplyUnknown(reply) => {
            reply.text = None;
            reply.attachments = Vec::new();
            scrub_story(&mut reply.reply_to);
            for part in &mut reply.parts {
                part.text = None;
            }
        }
        Fact::PostbackReceived(postback) => {
            postback.title = String::new();
            postback.payload = None;
        }
        Fact::MessageEdited(edit) => edit.text = None,
        _ => return None,
    }
    (fact.statement.as_ref() != Some(&statement))
        .then(|| RowFact { statement: Some(statement), ..fact.clone() })
}

/// The picture of a story is content; which story it was is not.
pub(super) fn scrub_story(reply_to: &mut Option<ReplyTo>) {
    if let Some(story) = reply_to.as_mut().and_then(|quoted| quoted.story.as_mut()) {
        story.url = None;
    }
}
