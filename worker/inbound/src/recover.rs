//! Raw webhooks that were read for a database that is lost: they are read again to find what the events do not hold. Nothing is published.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use facts::accounts::directory::Directory;
use facts::follow_up::senderless::Senderless;
use facts::{Draft, FactError, FactStore, eras, regain};
use runtime::broker::Broker;
use runtime::follow::{Follower, Received};
use runtime::streams;
use schemas::{Timestamp, subjects};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::failure::Cause;
use crate::lanes::{self, Behind};
use crate::parking::{self, Parking};
use crate::raw_webhook::{RawWebhook, at_first, first_position};
pub use crate::shard::BATCH_MAX;
use crate::{effect, reading};

/// Copies of what was parked.
const DEAD: &str = "inbox.v1.dead.normalize.>";
/// Clocks of two servers of the broker may differ by so much.
const CLOCKS_APART: std::time::Duration = std::time::Duration::from_secs(60);

/// What the normaliser had parked, as far as INBOX_DEAD has copies of it.
#[derive(Debug, Default)]
pub struct DeadLetters(HashMap<(u64, String), Letter>);

/// The copy of a parked row.
#[derive(Clone, Debug, Deserialize)]
struct Letter {
    lane: String,
    raw_seq: u64,
    role: String,
    cause: String,
    last_error: Option<String>,
    parked_at: Timestamp,
}

#[derive(Deserialize)]
struct Copy {
    parked: Letter,
}

impl DeadLetters {
    /// Reads all of them.
    ///
    /// # Errors
    /// The broker did not answer; call again.
    pub async fn read(broker: &Broker) -> anyhow::Result<Self> {
        if streams::find(broker.js(), subjects::INBOX_DEAD).await?.is_none() {
            return Ok(Self::default());
        }
        let filters = vec![DEAD.to_owned()];
        let mut follower = Follower::over(broker.clone(), subjects::INBOX_DEAD, filters, 0);
        let messages = follower.read_to_the_end().await?;
        // The last copy of a row counts.
        let letters = messages.iter().filter_map(|message| {
            let letter = serde_json::from_slice::<Copy>(&message.payload).ok()?.parked;
            Some(((letter.raw_seq, letter.lane.clone()), letter))
        });
        Ok(Self(letters.collect()))
    }

    /// The letter about a lane of a raw webhook, or about the whole of it.
    fn about(&self, raw: &Received, lane: &str) -> Option<&Letter> {
        let of = |lane: &str| self.0.get(&(raw.sequence, lane.to_owned()));
        let letter = of(lane).or_else(|| of(&lanes::lane_of_raw(raw.sequence, 0)))?;
        // Of an earlier META_RAW with the same numbers.
        (raw.stored_at <= letter.parked_at.plus(CLOCKS_APART)).then_some(letter)
    }
}

/// What raw webhooks hold beside the events that are known.
#[derive(Debug, Default)]
pub struct RawsTaken {
    /// Sender-less items, and edits of messages that nobody knows.
    pub hints: Vec<Senderless>,
    /// Rows that are parked again.
    pub parked: u64,
    /// Events that they give today and that were never published.
    pub unpublished: u64,
}

/// The raw webhooks of a batch that were redacted, as `(first position, position now)`.
pub fn redacted(batch: &[Received]) -> Vec<(u64, u64)> {
    batch.iter().filter_map(|raw| Some((first_position(raw)?, raw.sequence))).collect()
}

/// The positions that raw webhooks had at first, and when they were stored there or received.
pub fn places(batch: &[Received]) -> Vec<(u64, Timestamp)> {
    at_first(batch).iter().map(|raw| (raw.sequence, raw.stored_at)).collect()
}

/// Takes raw webhooks: what they add to facts that are recorded is kept; what had been parked is parked again and waits for an operator, with its lane behind
/// it. Anything else that was never published stays so: a replay shows it.
///
/// # Errors
/// [`FactError`]; roll back and give the batch again.
pub async fn take(
    facts: &FactStore,
    conn: &mut PgConnection,
    batch: &[Received],
    accounts: &Arc<Directory>,
    dead: &DeadLetters,
) -> Result<RawsTaken, FactError> {
    let batch = &*at_first(batch);
    let read = reading::read(batch, accounts).await;
    let sorted = lanes::sort(read.outputs, &HashSet::new());
    let (drafts, hints) =
        effect::hold_edits(facts.pool(), sorted.drafts, sorted.hints, &HashSet::new()).await?;
    let mut raws = RawsTaken { hints, ..RawsTaken::default() };
    let unknown = regain::reports(facts, conn, drafts).await?;
    if unknown.is_empty() && read.parking.is_empty() {
        return Ok(raws);
    }
    let held = match dead.0.is_empty() {
        true => HashSet::new(),
        false => parking::all_held(&mut *conn).await?,
    };
    let mut parking = Sorting { dead, held, rows: BTreeMap::new(), unpublished: 0 };
    // What cannot be read at all is parked as when it came.
    for broken in read.parking {
        let raw = batch.iter().find(|raw| raw.sequence == broken.raw_seq);
        let shard = raw.and_then(|raw| subjects::shard_of(&raw.subject)).unwrap_or(0);
        parking.rows.entry(shard).or_default().push(broken);
    }
    for raw in batch {
        let of_raw =
            |draft: &&Draft| draft.event.data.origin.raw_stream_sequence == Some(raw.sequence);
        parking.sort(raw, unknown.iter().filter(of_raw).cloned().collect());
    }
    raws.unpublished = parking.unpublished;
    if parking.rows.is_empty() {
        return Ok(raws);
    }
    let era = eras::current(&mut *conn, subjects::META_RAW).await?.map_or(0, |known| known.n);
    for (shard, rows) in parking.rows {
        raws.parked += rows.len() as u64;
        let of_row = |raw: &&Received| rows.iter().any(|row| row.raw_seq == raw.sequence);
        let bytes: Vec<RawWebhook> = batch.iter().filter(of_row).map(RawWebhook::of).collect();
        parking::regain(conn, shard, era, &rows, &bytes).await?;
    }
    Ok(raws)
}

/// Sorts events that were never published.
struct Sorting<'a> {
    dead: &'a DeadLetters,
    held: HashSet<String>,
    rows: BTreeMap<u32, Vec<Parking>>,
    unpublished: u64,
}

impl Sorting<'_> {
    fn sort(&mut self, raw: &Received, drafts: Vec<Draft>) {
        for (lane, drafts) in lanes::by_lane(drafts) {
            let letter = self.dead.about(raw, &lane);
            if letter.is_none() && !self.held.contains(&lane) {
                self.unpublished += drafts.len() as u64;
                continue;
            }
            let cause = letter.filter(|letter| letter.role == "failed").map(|letter| Cause {
                word: letter.cause.clone(),
                error: letter.last_error.clone().unwrap_or_default(),
            });
            let (raw_seq, events) = (raw.sequence, Behind::of(&drafts));
            self.held.insert(lane.clone());
            let rows = self.rows.entry(subjects::shard_of(&raw.subject).unwrap_or(0)).or_default();
            rows.push(Parking { raw_seq, lane: Some(lane), events, cause });
        }
    }
}
