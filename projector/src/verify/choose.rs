//! Choosing conversations at random, half of them among the rows and half among the events: a conversation whose rows were lost is in the
//! stream only.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::fold::Arrival;
use crate::fold::conversation::Identity;
use crate::rebuild::{Heartbeat, Live, Place, RebuildError, event_at};
use crate::store::scope;
use crate::store::tables::conversations;

/// How many events are read for each conversation that is looked for in the stream: many are of the same one, some are of nobody.
const READS: usize = 10;
/// How many positions are drawn for each: those that the log does not hold any more, or not yet, cost nothing.
const DRAWS: usize = 10_000;

/// Conversations, and whose they are.
pub(super) type Chosen = BTreeMap<String, Identity>;

/// Chooses `count` conversations; the same `seed` chooses the same ones.
pub(super) async fn choose(
    place: &Place,
    live: &Live,
    count: u32,
    seed: i64,
    heart: &mut Heartbeat<'_>,
) -> Result<Chosen, RebuildError> {
    let half = usize::try_from(count / 2).unwrap_or(0);
    let mut chosen = from_stream(place, live, half, seed, heart).await?;
    let ids: Vec<&str> = chosen.keys().map(String::as_str).collect();
    let rest = i64::from(count) - i64::try_from(chosen.len()).unwrap_or(0);
    let mut tx = scope::begin(&place.pool, &live.schema).await?;
    let rows = conversations::sample(&mut tx, &ids, seed, rest).await?;
    tx.commit().await?;
    chosen.extend(rows);
    Ok(chosen)
}

/// Conversations that events at random positions are about. A position is drawn from a power of two, so that the same seed finds the same
/// ones after the log has grown a little.
async fn from_stream(
    place: &Place,
    live: &Live,
    count: usize,
    seed: i64,
    heart: &mut Heartbeat<'_>,
) -> Result<Chosen, RebuildError> {
    let (first, last) = (live.log().await?.0.max(1), live.position().await?);
    if last < first {
        return Ok(Chosen::new());
    }
    let bound = last.saturating_add(1).next_power_of_two();
    let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let mut random = StdRng::seed_from_u64(seed.cast_unsigned());
    let (mut drawn, mut found) = (BTreeSet::new(), Chosen::new());
    for _ in 0..count.saturating_mul(DRAWS) {
        if found.len() >= count || drawn.len() >= span.min(count.saturating_mul(READS)) {
            break;
        }
        let seq = random.random_range(0..bound);
        if !(first..=last).contains(&seq) || !drawn.insert(seq) {
            continue;
        }
        heart.beat("choosing a sample").await?;
        let Some(incoming) = event_at(&place.broker, seq).await? else { continue };
        let Ok((Arrival::Fact { facts, .. }, _)) = incoming.outcome else { continue };
        for statement in facts.iter().filter_map(|fact| fact.statement.as_ref()) {
            if let (Some(id), Some(identity)) =
                (statement.conversation_id(), Identity::of(statement))
            {
                found.insert(id.to_string(), identity);
            }
        }
    }
    Ok(found.into_iter().take(count).collect())
}
