//! ◆ Pure: one row per receipt with a watermark. It may come before the messages it covers, so it stays.

use schemas::{ConversationId, Fact, Kind, Timestamp};

use super::row_fact::{RowFact, standing};

/// A row of `receipts`: what was sent in a conversation up to `watermark` was delivered or read at `at`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReceiptRow {
    /// The entity.
    pub(crate) id: String,
    /// The conversation.
    pub(crate) conversation_id: ConversationId,
    /// `delivered` or `read`.
    pub(crate) kind: &'static str,
    /// Messages sent until then are covered.
    pub(crate) watermark: Timestamp,
    /// The time of the receipt.
    pub(crate) at: Timestamp,
}

/// The row of one event.
pub(crate) fn receipt_row(id: &str, facts: &[RowFact]) -> Option<ReceiptRow> {
    let (fact, statement) = standing(facts).next()?;
    let (Fact::MessageDelivered(body) | Fact::MessageRead(body)) = &statement.fact else {
        return None;
    };
    Some(ReceiptRow {
        id: id.to_owned(),
        conversation_id: statement.conversation_id()?,
        kind: if fact.kind == Kind::MessageRead { "read" } else { "delivered" },
        watermark: body.watermark?,
        at: fact.time,
    })
}
