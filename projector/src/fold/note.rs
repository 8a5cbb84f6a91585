//! ◆ Pure: one row per note about a conversation.

use schemas::{AccountId, Channel, ConversationId, Fact, Timestamp};

use super::row_fact::{RowFact, by_moment};

/// A row of `notes`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NoteRow {
    /// The entity.
    pub(crate) id: String,
    /// The note, as its event names it.
    pub(crate) note_id: String,
    /// The conversation.
    pub(crate) conversation_id: ConversationId,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// What it says.
    pub(crate) text: String,
    /// Name of the API token that wrote it.
    pub(crate) noted_by: Option<String>,
    /// When.
    pub(crate) noted_at: Timestamp,
}

/// The note, by the latest event that states it.
pub(crate) fn note_row(id: &str, facts: &[RowFact]) -> Option<NoteRow> {
    let (fact, statement) = by_moment(facts).pop()?;
    let Fact::ConversationNoted(body) = &statement.fact else { return None };
    Some(NoteRow {
        id: id.to_owned(),
        note_id: body.note_id.clone(),
        conversation_id: statement.conversation_id()?,
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        text: body.text.clone(),
        noted_by: body.by.clone(),
        noted_at: fact.time,
    })
}
