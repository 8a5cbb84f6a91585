//! ◆ Pure: from kept facts to rows as the database takes them: JSON objects named like the columns.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemas::{Fact, Kind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fold::conversation::{ConversationRow, Identity, conversation_row};
use crate::fold::feed::{insight_row, mention_row, post_row, reaction_row};
use crate::fold::message::{MessageRow, message_row};
use crate::fold::{Class, Piece, comment, message};

/// The rows of one class to write, and those to remove.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// By id.
    pub(super) put: BTreeMap<String, Value>,
    /// Ids.
    pub(super) drop: BTreeSet<String>,
}

/// What follows from the facts of the touched entities (conversations apart).
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// By class.
    pub(super) rows: BTreeMap<Class, Rows>,
    /// Conversations that visible messages belong to.
    pub(super) identities: BTreeMap<String, Identity>,
    /// Conversations of every message row, visible or not.
    pub(super) conversations: BTreeSet<String>,
    /// Pieces that lose their content.
    pub(super) scrubbed: Vec<Piece>,
    /// Entities whose fold failed; their rows stay as they are.
    pub(super) failed: BTreeSet<String>,
}

/// Folds every touched entity. A fold that panics harms its own row only.
pub(super) fn fold_all(touched: &BTreeSet<String>, pieces: Vec<Piece>) -> Folded {
    let mut by_entity: BTreeMap<&str, Vec<Piece>> =
        touched.iter().map(|entity| (entity.as_str(), Vec::new())).collect();
    for piece in pieces {
        if let Some(list) = by_entity.get_mut(piece.entity.as_str()) {
            list.push(piece);
        }
    }
    let mut folded = Folded::default();
    for (entity, pieces) in by_entity {
        let Some(class) = Class::of(entity) else { continue };
        match catch_unwind(AssertUnwindSafe(|| fold_one(class, entity, &pieces))) {
            Ok(Ok(one)) => folded.add(class, entity, one),
            Ok(Err(_)) | Err(_) => {
                folded.failed.insert(entity.to_owned());
            }
        }
    }
    folded
}

#[derive(Default)]
struct One {
    row: Option<Value>,
    message: Option<MessageRow>,
    scrubbed: Vec<Piece>,
}

impl Folded {
    fn add(&mut self, class: Class, entity: &str, one: One) {
        let rows = self.rows.entry(class).or_default();
        match one.row {
            Some(row) => {
                rows.put.insert(entity.to_owned(), row);
            }
            None => {
                rows.drop.insert(entity.to_owned());
            }
        }
        self.scrubbed.extend(one.scrubbed);
        if let Some(message) = one.message
            && let (Some(conversation), Some(contact)) =
                (message.conversation_id, message.contact_id)
        {
            self.conversations.insert(conversation.to_string());
            if !message.hidden {
                self.identities.insert(
                    conversation.into_string(),
                    Identity {
                        channel: message.channel,
                        account_id: message.account_id,
                        contact_id: contact,
                    },
                );
            }
        }
    }
}

fn value<T: Serialize>(row: Option<T>) -> Result<Option<Value>, serde_json::Error> {
    row.map(serde_json::to_value).transpose()
}

fn fold_one(class: Class, entity: &str, pieces: &[Piece]) -> Result<One, serde_json::Error> {
    let mut one = One::default();
    match class {
        Class::Message => {
            one.message = message_row(entity, pieces);
            one.row = value(one.message.as_ref())?;
            one.scrubbed = message::scrubbed(pieces);
        }
        Class::Comment => {
            one.row = value(comment::comment_row(entity, pieces))?;
            one.scrubbed = comment::scrubbed(pieces);
        }
        Class::Receipt => one.row = receipt(entity, pieces),
        Class::Reaction => one.row = value(reaction_row(entity, pieces))?,
        Class::Post => one.row = value(post_row(entity, pieces))?,
        Class::Insight => one.row = value(insight_row(entity, pieces))?,
        Class::Mention => {
            one.row = mention_row(entity, pieces).map(|row| {
                json!({
                    "id": row.id, "channel": row.channel, "account_id": row.account_id,
                    "media_id": row.mention.media_id, "comment_id": row.mention.comment_id,
                    "post_id": row.mention.post_id, "item": row.mention.item,
                    "author_id": row.mention.author.id, "author_username": row.mention.author.username,
                    "text": row.mention.text, "mentioned_at": row.mentioned_at,
                    "time_approximate": row.time_approximate, "deleted_at": row.deleted_at,
                })
            });
        }
        Class::Conversation | Class::Nothing => {}
    }
    Ok(one)
}

/// A receipt with a watermark: one event, one row.
fn receipt(entity: &str, pieces: &[Piece]) -> Option<Value> {
    let piece = pieces.iter().find(|piece| piece.said.is_some())?;
    let said = piece.said.as_ref()?;
    let (Fact::MessageDelivered(body) | Fact::MessageRead(body)) = &said.fact else { return None };
    let kind = if piece.kind == Kind::MessageRead { "read" } else { "delivered" };
    Some(json!({
        "id": entity, "conversation_id": said.conversation_id()?, "kind": kind,
        "watermark": body.watermark?, "at": piece.time,
    }))
}

/// A conversation's row; `None` when its fold failed.
pub(super) fn conversation(id: &str, identity: &Identity, pieces: &[Piece]) -> Option<Value> {
    catch_unwind(AssertUnwindSafe(|| flat(&conversation_row(id, identity.clone(), pieces)))).ok()
}

fn flat(row: &ConversationRow) -> Value {
    let block = row.block.as_ref();
    json!({
        "id": row.id, "channel": row.identity.channel, "account_id": row.identity.account_id,
        "contact_id": row.identity.contact_id, "name": row.contact.name, "placeholder": row.contact.placeholder,
        "enriched": row.contact.enriched, "username": row.contact.username, "avatar_url": row.contact.avatar_url,
        "profile": row.contact.profile, "enriched_at": row.contact.enriched_at, "archived": row.archived,
        "assigned_to": row.assigned_to, "blocked": block.is_some(),
        "block_name": block.and_then(|block| block.name.as_ref()),
        "block_reason": block.and_then(|block| block.reason.as_ref()),
        "blocked_by": block.and_then(|block| block.by.as_ref()), "blocked_at": block.map(|block| block.at),
        "read_until": row.read_until, "known": row.known, "interaction_at": row.interaction_at,
    })
}
