//! Absorbing a batch: reads what is kept of its events and rows, lets [`fold`](crate::fold) and [`batch`](crate::batch) decide, and writes
//! what results. All in the caller's transaction, which has entered a model.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::tables::{
    comments, conversations, facts, insights, labels, mentions, messages, notes, posts, reactions,
    receipts, withdrawn,
};
use crate::batch::{
    Changed, Failed, FoldedRows, TouchedConversations, TouchedRows, Weight, fold_rows,
};
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

/// How a conversation comes to what it shows of its messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// What it showed before, moved by the difference that the batch makes. Counting them all would cost the more the longer nobody reads.
    Moved,
    /// All its messages are looked at.
    Counted,
}

async fn read_known(conn: &mut PgConnection, arrivals: &[Arrival]) -> sqlx::Result<Known> {
    let ids: BTreeSet<&str> = arrivals.iter().map(|arrival| arrival.event_id().as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let held = facts::held(conn, &ids).await?;
    let (withdrawn, erased) = withdrawn::among(conn, &ids).await?;
    Ok(Known { held, withdrawn, erased })
}

async fn write_changes(
    conn: &mut PgConnection,
    known: &Known,
    mut changes: Changes,
    unread: Unread,
) -> sqlx::Result<Failed> {
    let (acted, others): (BTreeSet<String>, BTreeSet<String>) = changes
        .touched
        .iter()
        .cloned()
        .partition(|entity| Class::of(entity) == Some(Class::Conversation));
    let kept = facts::of_entities(conn, &others).await?;
    let mut touched = TouchedRows::new(kept, &mut changes);
    let mut rows = fold_rows(&touched);
    let scrubbed = touched.scrub(std::mem::take(&mut rows.scrubbed));
    let before = messages_before(conn, &touched, &rows).await?;
    let now = rows.messages.put.iter().map(Weight::from).collect();
    let mut conversations = TouchedConversations::new(acted, before, now);
    if !conversations.ids().is_empty() {
        let existing = conversations::existing(conn, &conversations.ids()).await?;
        conversations.exist(existing);
    }

    keep(conn, &changes, &touched).await?;
    facts::scrub(conn, &scrubbed).await?;
    let moved = write_receipts(conn, &touched, &rows.receipts).await?;
    messages::drop(conn, &rows.messages.drop).await?;
    messages::put(conn, &rows.messages.put).await?;
    messages::cover(conn, &rows.receipts.put).await?;
    messages::uncover(conn, &moved).await?;
    write_others(conn, &rows).await?;
    let failed = write_conversations(conn, &conversations, &rows, &touched, unread).await?;
    rows.failed.extend(failed);
    Ok(Failed::find(rows.failed, known, &changes, touched.fresh()))
}

/// The messages that the batch changes, as they are before it.
async fn messages_before(
    conn: &mut PgConnection,
    touched: &TouchedRows,
    rows: &FoldedRows,
) -> sqlx::Result<Vec<Weight>> {
    let mut ids = rows.messages.ids(|row| &row.id);
    ids.retain(|id| touched.is_known(id));
    messages::weights(conn, &ids).await
}

/// Writes the facts themselves.
async fn keep(
    conn: &mut PgConnection,
    changes: &Changes,
    touched: &TouchedRows,
) -> sqlx::Result<()> {
    facts::drop_events(conn, &changes.replaced).await?;
    withdrawn::put(conn, &changes.withdrawn).await?;
    facts::blank(conn, &changes.blanked).await?;
    facts::put(conn, &touched.fresh().collect::<Vec<_>>()).await
}

/// Receipts go first, since a message's row looks them up. Returns those that changed or went as they were: they may have covered messages
/// that they no longer cover.
async fn write_receipts(
    conn: &mut PgConnection,
    touched: &TouchedRows,
    rows: &Changed<ReceiptRow>,
) -> sqlx::Result<Vec<receipts::OldReceipt>> {
    let mut ids = rows.ids(|row| &row.id);
    ids.retain(|id| touched.is_known(id));
    let old = receipts::existing(conn, &ids).await?;
    receipts::drop(conn, &rows.drop).await?;
    receipts::put(conn, &rows.put).await?;
    Ok(old)
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
    insights::put(conn, &rows.insights.put).await?;
    labels::drop(conn, &rows.labels.drop).await?;
    labels::put(conn, &rows.labels.put).await?;
    notes::drop(conn, &rows.notes.drop).await?;
    notes::put(conn, &rows.notes.put).await
}

/// Writes conversations: acts and contact from their own facts, the rest from what the batch changes in their messages. Returns those whose
/// fold failed.
async fn write_conversations(
    conn: &mut PgConnection,
    touched: &TouchedConversations,
    rows: &FoldedRows,
    facts: &TouchedRows,
    unread: Unread,
) -> sqlx::Result<Vec<String>> {
    let latest = facts::latest_of_conversations(conn, &touched.anew()).await?;
    let count_all = unread == Unread::Counted;
    let rows = touched.rows(&latest, facts.fresh(), &rows.identities(), count_all);
    conversations::drop(conn, &rows.drop).await?;
    conversations::put(conn, &rows.put).await?;
    conversations::sum_up(conn, &rows.summed).await?;
    conversations::recount(conn, &rows.recount).await?;
    Ok(rows.failed)
}
