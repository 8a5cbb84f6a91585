//! ◆ Pure: what a message says, and the reactions to it.

use schemas::facts::{Attachment, By, erase_story};
use schemas::{Fact, Kind};
use serde_json::{Value, json};

use super::bodies::{message_of, reply_of};
use super::row::ReactionNow;
use crate::fold::row_fact::{Standing, Statement};

/// What a message says now.
#[derive(Default)]
pub(super) struct Content {
    pub(super) text: Option<String>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) quick_reply: Option<Value>,
    pub(super) postback: Option<Value>,
}

impl Content {
    pub(super) const fn is_empty(&self) -> bool {
        self.text.is_none() && self.attachments.is_empty()
    }
}

/// Of several edits the one with the highest number; those without a number come after number 1, in the order of time.
pub(super) fn latest_edit<'a>(all: &[Standing<'a>]) -> Option<Standing<'a>> {
    let order = |(fact, statement): Standing<'a>| match &statement.fact {
        Fact::MessageEdited(edit) => Some(match edit.edit_number {
            Some(number) => (number, None, fact.precedence()),
            None => (1, Some(fact.time), fact.precedence()),
        }),
        _ => None,
    };
    all.iter()
        .copied()
        .filter(|(fact, _)| fact.kind == Kind::MessageEdited)
        .max_by_key(|edit| order(*edit))
}

/// The text of the latest edit that has one; else, like everything else, that of the best original that has it.
pub(super) fn content(all: &[Standing<'_>], originals: &[Standing<'_>]) -> Content {
    let with_text: Vec<_> = all
        .iter()
        .copied()
        .filter(|(_, statement)| matches!(&statement.fact, Fact::MessageEdited(edit) if edit.text.is_some()))
        .collect();
    let edited = latest_edit(&with_text).and_then(|(_, statement)| match &statement.fact {
        Fact::MessageEdited(edit) => edit.text.clone(),
        _ => None,
    });
    let original = |statement: &Statement| match &statement.fact {
        Fact::PostbackReceived(postback) => Some(postback.title.clone()),
        fact => message_of(fact).map_or_else(
            || reply_of(fact).and_then(|reply| reply.text.clone()),
            |message| message.text.clone(),
        ),
    };
    let attachments = |statement: &Statement| {
        let list = match &statement.fact {
            fact if message_of(fact).is_some() => {
                message_of(fact).map(|message| &message.attachments)
            }
            fact => reply_of(fact).map(|reply| &reply.attachments),
        };
        list.filter(|list| !list.is_empty()).cloned()
    };
    Content {
        text: edited.or_else(|| originals.iter().find_map(|(_, statement)| original(statement))),
        attachments: originals
            .iter()
            .find_map(|(_, statement)| attachments(statement))
            .unwrap_or_default(),
        quick_reply: originals.iter().find_map(|(_, statement)| {
            let tapped = message_of(&statement.fact)?.quick_reply.as_ref()?;
            Some(json!({"payload": tapped.payload}))
        }),
        postback: originals.iter().find_map(|(_, statement)| match &statement.fact {
            Fact::PostbackReceived(postback) => {
                Some(json!({"title": postback.title, "payload": postback.payload}))
            }
            _ => None,
        }),
    }
}

/// What the message quotes.
pub(super) fn reply_to(originals: &[Standing<'_>], erased: bool) -> Option<Value> {
    originals.iter().find_map(|(_, statement)| {
        let mut quoted = message_of(&statement.fact).map_or_else(
            || reply_of(&statement.fact).and_then(|reply| reply.reply_to.clone()),
            |message| message.reply_to.clone(),
        );
        if erased {
            erase_story(&mut quoted);
        }
        quoted.and_then(|quoted| serde_json::to_value(quoted).ok())
    })
}

/// Of each side the latest by (time, id); taking a reaction back removes it.
pub(super) fn reactions(all: &[Standing<'_>]) -> Vec<ReactionNow> {
    [By::Contact, By::Account]
        .into_iter()
        .filter_map(|by| {
            let (fact, statement) = all
                .iter()
                .filter(|(_, statement)| {
                    matches!(&statement.fact, Fact::MessageReacted(body) | Fact::MessageUnreacted(body) if body.by == by)
                })
                .max_by_key(|(fact, _)| fact.moment())?;
            match &statement.fact {
                Fact::MessageReacted(body) => Some(ReactionNow {
                    by,
                    reaction: body.reaction.clone(),
                    emoji: body.emoji.clone(),
                    at: fact.time,
                }),
                _ => None,
            }
        })
        .collect()
}
