//! Absorbing a batch: reads what is kept of its events and rows, lets [`fold`](crate::fold) and [`batch`](crate::batch) decide, and writes
//! what results. All in the caller's transaction, which has entered a model.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::tables::{
    comments, conversations, facts, insights, mentions, messages, posts, reactions, receipts,
    withdrawn,
};
use crate::batch::{Changed, Failed, FoldedRows, TouchedConversations, UnreadMoves, fold_rows};
use crate::fold::message::MessageRow;
use crate::fold::receipt::ReceiptRow;
use crate::fold::{Arrival, Changes, Class, Known, absorb};

/// Keeps the facts of a batch and computes every row they touch.
pub(super) async fn absorb_batch(
    conn: &mut PgConnection,
    arrivals: Vec<Arrival>,
) -> sqlx::Result<Failed> {
    if arrivals.is_empty() {
        return Ok(Failed::default());
    }
    let known = read_known(conn, &arrivals).await?;
    let changes = absorb(&known, arrivals);
    write_changes(conn, &known, changes, Unread::Moved).await
}

/// The same with one event that comes once more: the rows in `held`, which any version of it was about, are computed too, and all unread
/// messages are counted.
pub(super) async fn absorb_again(
    conn: &mut PgConnection,
    arrival: Arrival,
    held: BTreeSet<String>,
) -> sqlx::Result<Failed> {
    let arrivals = vec![arrival];
    let known = read_known(conn, &arrivals).await?;
    let mut changes = absorb(&known, arrivals);
    changes.touched.extend(held);
    write_changes(conn, &known, changes, Unread::Counted).await
}

/// How unread messages come to their number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// The number of before, moved by the difference that the batch makes. Counting them all would cost the more the longer nobody reads.
    Moved,
    /// All are counted.
    Counted,
}

async fn read_known(conn: &mut PgConnection, arrivals: &[Arrival]) -> sqlx::Result<Known> {
    let ids: BTreeSet<&str> = arrivals.iter().map(|arrival| arrival.event_id().as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    Ok(Known {
        held: facts::held(conn, &ids).await?,
        withdrawn: withdrawn::among(conn, &ids).await?,
    })
}

async fn write_changes(
    conn: &mut PgConnection,
    known: &Known,
    changes: Changes,
    unread: Unread,
) -> sqlx::Result<Failed> {
    keep(conn, &changes).await?;
    let (acted, others): (BTreeSet<String>, BTreeSet<String>) = changes
        .touched
        .iter()
        .cloned()
        .partition(|entity| Class::of(entity) == Some(Class::Conversation));
    let mut rows = fold_rows(&others, facts::of_entities(conn, &others).await?);
    facts::scrub(conn, &rows.scrubbed).await?;
    let moved = write_receipts(conn, &rows.receipts).await?;
    let mut with_messages = rows.conversations();
    let (before, unread_moves) = write_messages(conn, &rows.messages).await?;
    with_messages.extend(before);
    let covering: Vec<&str> = rows.receipts.put.iter().map(|row| row.id.as_str()).collect();
    messages::cover(conn, &covering).await?;
    messages::uncover(conn, &moved).await?;
    write_others(conn, &rows).await?;
    let touched = TouchedConversations::new(acted, with_messages);
    let unread_moves = (unread == Unread::Moved).then_some(unread_moves);
    let failed = write_conversations(conn, touched, &rows, &changes, unread_moves.as_ref()).await?;
    rows.failed.extend(failed);
    Ok(Failed::find(rows.failed, known, &changes))
}

/// Writes the facts themselves.
async fn keep(conn: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    facts::drop_events(conn, &changes.replaced).await?;
    withdrawn::put(conn, &changes.withdrawn).await?;
    facts::blank(conn, &changes.blanked).await?;
    facts::put(conn, &changes.facts).await
}

/// Receipts go first, since a message's row looks them up. Returns those that changed or went as they were: they may have covered messages
/// that they no longer cover.
async fn write_receipts(
    conn: &mut PgConnection,
    rows: &Changed<ReceiptRow>,
) -> sqlx::Result<Vec<receipts::OldReceipt>> {
    let ids: Vec<&str> =
        rows.put.iter().map(|row| &row.id).chain(&rows.drop).map(String::as_str).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let old = receipts::existing(conn, &ids).await?;
    receipts::drop(conn, &rows.drop).await?;
    receipts::put(conn, &rows.put).await?;
    Ok(old)
}

/// Writes message rows. Returns the conversations they were in before, and how many more unread messages each conversation has by that.
async fn write_messages(
    conn: &mut PgConnection,
    rows: &Changed<MessageRow>,
) -> sqlx::Result<(Vec<String>, UnreadMoves)> {
    let mut moves = UnreadMoves::new();
    let ids: Vec<&str> =
        rows.put.iter().map(|row| &row.id).chain(&rows.drop).map(String::as_str).collect();
    if ids.is_empty() {
        return Ok((Vec::new(), moves));
    }
    let before = messages::conversations_of(conn, &ids).await?;
    for unread in messages::unread_among(conn, &ids).await? {
        *moves.entry(unread.conversation_id).or_insert(0) -= unread.messages;
    }
    messages::drop(conn, &rows.drop).await?;
    messages::put(conn, &rows.put).await?;
    for unread in messages::unread_among(conn, &ids).await? {
        *moves.entry(unread.conversation_id).or_insert(0) += unread.messages;
    }
    Ok((before, moves))
}

/// Writes the rows that nothing else depends on.
async fn write_others(conn: &mut PgConnection, rows: &FoldedRows) -> sqlx::Result<()> {
    comments::drop(conn, &rows.comments.drop).await?;
    comments::put(conn, &rows.comments.put).await?;
    reactions::drop(conn, &rows.reactions.drop).await?;
    reactions::put(conn, &rows.reactions.put).await?;
    posts::drop(conn, &rows.posts.drop).await?;
    posts::put(conn, &rows.posts.put).await?;
    mentions::drop(conn, &rows.mentions.drop).await?;
    mentions::put(conn, &rows.mentions.put).await?;
    insights::drop(conn, &rows.insights.drop).await?;
    insights::put(conn, &rows.insights.put).await
}

/// Writes conversations: acts and contact from their own facts, the rest from the message rows. Returns those whose fold failed.
async fn write_conversations(
    conn: &mut PgConnection,
    mut touched: TouchedConversations,
    rows: &FoldedRows,
    changes: &Changes,
    unread: Option<&UnreadMoves>,
) -> sqlx::Result<Vec<String>> {
    if touched.ids().is_empty() {
        return Ok(Vec::new());
    }
    let existing = conversations::existing(conn, &touched.ids()).await?;
    touched.exist(existing);
    let mut failed = Vec::new();
    let anew = touched.anew();
    if !anew.is_empty() {
        let latest = facts::latest_of_conversations(conn, &anew).await?;
        let made = touched.rows(&latest, &changes.facts, &rows.identities());
        conversations::put(conn, &made.0).await?;
        failed = made.1;
    }
    let ids = touched.ids();
    conversations::aggregate(conn, &ids, &touched.moves(unread)).await?;
    conversations::drop_empty(conn, &ids).await?;
    Ok(failed)
}
