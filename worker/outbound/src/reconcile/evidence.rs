//! What the ledger itself knows: unclaimed echoes, and what belongs to other parts.

use schemas::{Channel, Timestamp};
use sqlx::PgPool;

use crate::ledger::{self, CommandRow, PartRow, echoes};
use crate::matching::{Item, SKEW, Wanted};
use crate::payload::{Payload, part_key};

/// What is looked for. `None`: the part was never attempted.
pub(super) fn wanted(command: &CommandRow, part: &PartRow) -> Option<Wanted> {
    Some(Wanted {
        key: part_key(&command.identity, part.n),
        content: part.content,
        peer: part.peer.clone(),
        first_at: part.first_at?,
        deadline: part.deadline?,
        in_flight: false,
    })
}

/// The time, and an unclaimed echo that fits the part.
pub(super) async fn among_echoes(
    pool: &PgPool,
    command: &CommandRow,
    part: &PartRow,
) -> sqlx::Result<(Timestamp, Option<Item>)> {
    let mut conn = pool.acquire().await?;
    let now = ledger::now(&mut conn).await?;
    // Messenger's own echoes carry our key and are claimed by it; others there are not ours.
    let is_message = matches!(part.payload, Payload::Message { .. } | Payload::TemplateSend { .. });
    let keyed = command.channel == Channel::Messenger && is_message;
    let Some(wanted) = wanted(command, part).filter(|_| !keyed) else { return Ok((now, None)) };
    let mut items = echoes::unclaimed(&mut conn, command, &wanted.peer, &wanted.content).await?;
    drop(conn);
    // One that a part was answered with is that part's, claimed or not: it may still wait to be compared.
    mark_claimed(pool, command, &wanted, &mut items).await?;
    let found = wanted.choose(&items).cloned();
    Ok((now, found))
}

/// Marks what is known to be something else than the effect that is looked for, and what was reported before it.
pub(super) async fn mark_claimed(
    pool: &PgPool,
    command: &CommandRow,
    wanted: &Wanted,
    items: &mut [Item],
) -> sqlx::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    // Both by the clock of the database, which may be another machine's since.
    let since = wanted.first_at.minus(SKEW);
    let taken = echoes::taken(pool, command, &ids, &wanted.key, since).await?;
    for item in items.iter_mut() {
        let row = taken.iter().find(|row| row.item_id == item.id);
        item.claimed = row.is_some_and(|row| row.known);
        item.early = row.is_some_and(|row| !row.known);
    }
    Ok(())
}
