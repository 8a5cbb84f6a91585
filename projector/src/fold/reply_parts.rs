//! ◆ Pure: a reply, taken apart into the messages it was sent as.

use schemas::Fact;
use schemas::facts::{PartState, Reply, ReplyPart};

/// One fact per part that has a mid. Each carries its own text only, so that deleting one message erases that one.
pub(super) fn parts_of(
    reply: &Reply,
    fact: fn(Reply) -> Fact,
    entity: impl Fn(&str) -> String,
) -> Vec<(String, Fact)> {
    let alone = reply.parts.len() == 1;
    let mut rows: Vec<(String, Fact)> = Vec::new();
    for part in reply.parts.iter().filter(|part| part.state == PartState::Sent) {
        let Some(mid) = &part.message_id else { continue };
        let entity = entity(mid.as_str());
        // A mid named twice is one message; the first part has its text.
        if rows.iter().any(|(known, _)| *known == entity) {
            continue;
        }
        let text = part.text.clone().or_else(|| if alone { reply.text.clone() } else { None });
        let first = reply.parts.iter().map(|part| part.n).min() == Some(part.n);
        let only = Reply {
            text: text.clone(),
            attachments: if first { reply.attachments.clone() } else { Vec::new() },
            reply_to: if first { reply.reply_to.clone() } else { None },
            parts: vec![ReplyPart { text, ..part.clone() }],
            ..reply.clone()
        };
        rows.push((entity, fact(only)));
    }
    rows
}
