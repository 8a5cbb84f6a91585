//! What follows from events besides publishing them: facts, the waiting room, wants, what the sending side knows. One transaction.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use schemas::{Event, Via};

use crate::normalizer::Inbound;
use facts::follow_up::FollowUp;
use facts::follow_up::senderless::Senderless;
use facts::follow_up::waiting::{self, MessageKey};
use facts::{Draft, Emission, FactError, FactStore, Published, erase};

/// Notes what follows from published events, in the transaction that records them.
///
/// # Errors
/// `sqlx::Error`: roll back and do all of it again.
pub(super) async fn follow_up(
    inbound: &Inbound,
    emission: &mut Emission,
    hints: &[Senderless],
) -> sqlx::Result<()> {
    follow_up_with(&inbound.facts, inbound.twin_grace, emission, hints).await
}

/// The same without the rest of a normaliser. In a replay only what it published itself has consequences: what was known has had them.
///
/// # Errors
/// As [`follow_up`].
pub(super) async fn follow_up_with(
    facts: &FactStore,
    twin_grace: Duration,
    Emission { tx, published }: &mut Emission,
    hints: &[Senderless],
) -> sqlx::Result<()> {
    let now = runtime::now();
    let events = match facts.replay() {
        Some(_) => published.events().cloned().collect(),
        None => read_events(published),
    };
    let hints = keep_out_erased(tx, published, hints).await?;
    waiting::admit(tx, &hints, now, twin_grace, facts.replay()).await?;
    FollowUp::WHOLE.note(tx, &events, now).await
}

/// Leaves out sender-less items of what was erased, and notes the raw webhooks that brought it again: they are redacted next.
async fn keep_out_erased(
    conn: &mut PgConnection,
    published: &Published,
    hints: &[Senderless],
) -> sqlx::Result<Vec<Senderless>> {
    let rules = erase::rules_of_items(conn, hints).await?;
    let (gone, hints): (Vec<Senderless>, Vec<Senderless>) =
        hints.iter().cloned().partition(|hint| rules.has_senderless(hint));
    let refused: Vec<&Event> = published.refused.iter().map(|draft| &draft.event).collect();
    let refused = match refused.is_empty() {
        true => Vec::new(),
        false => {
            let rules = erase::rules(conn, refused.iter().copied()).await?;
            refused.into_iter().filter(|event| rules.has(event)).collect()
        }
    };
    let origins = refused.iter().map(|event| &event.data.origin);
    let origins = origins.chain(gone.iter().map(|hint| &hint.origin));
    let of_webhook = origins.filter(|origin| origin.via == Via::Webhook);
    let seqs: BTreeSet<u64> = of_webhook.filter_map(|origin| origin.raw_stream_sequence).collect();
    erase::note_raws(conn, &seqs).await?;
    Ok(hints)
}

/// Moves edits of unknown messages to the hints: they wait in the same way (docs/contract.md 5). An edit that was
/// published already does not wait again. `expected`: messages that are about to be known.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(super) async fn hold_edits(
    pool: &PgPool,
    drafts: Vec<Draft>,
    mut hints: Vec<Senderless>,
    expected: &HashSet<MessageKey>,
) -> sqlx::Result<(Vec<Draft>, Vec<Senderless>)> {
    if drafts.iter().all(|draft| draft.editor.is_none()) {
        return Ok((drafts, hints));
    }
    let mut known = waiting::known_edits(pool, &drafts).await?;
    known.extend(drafts.iter().flat_map(message_keys));
    known.extend(expected.iter().cloned());
    let mut free = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match Senderless::of_edit(&draft) {
            Some(edit)
                if !known.contains(&(
                    edit.channel,
                    edit.account_id.clone(),
                    edit.message_id.clone(),
                )) =>
            {
                hints.push(edit)
            }
            _ => free.push(draft),
        }
    }
    Ok((free, hints))
}

/// The messages a draft makes known.
pub(super) fn message_keys(draft: &Draft) -> impl Iterator<Item = MessageKey> {
    let data = &draft.event.data;
    draft
        .messages
        .iter()
        .map(|message| (data.channel, data.account_id.clone(), message.message_id.clone()))
}

/// Publishes drafts and records all that belongs to them in a transaction of its own.
///
/// # Errors
/// As [`facts::FactStore::begin`].
pub(super) async fn carry_out(
    inbound: &Inbound,
    drafts: &[Draft],
    hints: &[Senderless],
) -> Result<(), FactError> {
    let pool = inbound.facts.pool();
    let (drafts, hints) =
        hold_edits(pool, drafts.to_vec(), hints.to_vec(), &HashSet::new()).await?;
    let mut emission = inbound.facts.begin(&drafts).await?;
    follow_up(inbound, &mut emission, &hints).await?;
    emission.commit().await?;
    Ok(())
}

/// Every event of these raw webhooks, published now or before: what belongs to them is noted again after a crash in between.
fn read_events(published: &Published) -> Vec<Event> {
    let known = published.known.iter().map(|draft| &draft.event);
    published.events().chain(known).cloned().collect()
}
