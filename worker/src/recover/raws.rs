//! Stage *raws*: META_RAW is read up to where a worker had read it, for what the events do not hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use facts::accounts::directory::Directory;
use facts::accounts::{refresh, regain as accounts};
use facts::regain::{self, FactOfRaw};
use inbound::recover::{self as webhooks, DeadLetters};
use runtime::follow::{Follower, Received};
use runtime::lease::Position;
use runtime::streams::StreamName;
use schemas::subjects::{self, META_RAW, RAW_WEBHOOKS};
use schemas::{Timestamp, meta};
use sqlx::PgConnection;

use super::place::{At, Recovery, Show, commit};
use super::stage::{Done, Stage};
use super::waiting;

/// Raw webhooks in one transaction.
const BATCH: usize = 200;

/// Reads all raw webhooks after `position`.
pub(super) async fn read(
    recovery: &Recovery,
    mut position: u64,
    mut done: Done,
    show: Show<'_>,
) -> anyhow::Result<()> {
    let (era, head) = recovery.stands(StreamName::Raw).await?;
    let end = regain::last_raw(&recovery.pool, head).await?;
    let from = Position { seq: position, era: Some(era), at: None };
    let mut follower = Follower::new(recovery.broker.clone(), META_RAW, RAW_WEBHOOKS, from);
    let dead = DeadLetters::read(&recovery.broker).await?;
    let mut directory = Arc::new(Directory::new(-1, Vec::new()));
    while let Some(batch) = follower.next_up_to(end, BATCH).await? {
        let Some(to) = batch.last().map(|last| last.sequence) else { break };
        let mut tx = recovery.pool.begin().await?;
        take(recovery, &mut tx, &batch, &mut directory, &dead, &mut done).await?;
        commit(tx, Stage::Raws, (position, to), &done).await?;
        position = to;
        show(At { stage: Stage::Raws, position, end });
    }
    recovery.go_on(Stage::Raws, Stage::Commands, &done).await
}

async fn take(
    recovery: &Recovery,
    conn: &mut PgConnection,
    batch: &[Received],
    directory: &mut Arc<Directory>,
    dead: &DeadLetters,
    done: &mut Done,
) -> anyhow::Result<()> {
    let raws: Vec<(u64, Timestamp)> = webhooks::places(batch);
    let redacted = webhooks::redacted(batch);
    facts::erase::redacted_at(conn, &redacted).await?;
    let mut gave: HashMap<u64, Vec<FactOfRaw>> = HashMap::new();
    for fact in regain::facts_of(conn, &raws).await? {
        gave.entry(fact.raw_seq).or_default().push(fact);
    }
    refresh_accounts(conn, directory).await?;
    if add_aliases(conn, batch, &gave, directory).await? {
        refresh_accounts(conn, directory).await?;
    }
    let taken = webhooks::take(&recovery.facts, conn, batch, directory, dead).await?;
    let stored_at: BTreeMap<u64, Timestamp> = raws.into_iter().collect();
    done.waiting += waiting::regain(recovery, conn, &taken.hints, &stored_at).await?;
    done.parked += taken.parked;
    done.unpublished += taken.unpublished;
    done.raws += batch.len() as u64;
    for raw in batch {
        let shard = subjects::shard_of(&raw.subject).and_then(|shard| usize::try_from(shard).ok());
        if let Some(shard) = shard.and_then(|shard| done.shards.get_mut(shard)) {
            // One that was stored again says nothing of how far the shard was read.
            let again = redacted.iter().any(|(_, now)| *now == raw.sequence);
            shard.see(raw.sequence, !again && gave.contains_key(&raw.sequence));
        }
    }
    Ok(())
}

async fn refresh_accounts(
    conn: &mut PgConnection,
    directory: &mut Arc<Directory>,
) -> sqlx::Result<()> {
    if let Some(accounts) = refresh::refresh(conn, directory.version()).await? {
        *directory = Arc::new(accounts);
    }
    Ok(())
}

/// An item under an id that no account has, of which an account's event came: it is another id of that account. `true`: there was one.
async fn add_aliases(
    conn: &mut PgConnection,
    batch: &[Received],
    gave: &HashMap<u64, Vec<FactOfRaw>>,
    directory: &Directory,
) -> sqlx::Result<bool> {
    let mut found = false;
    for raw in batch {
        let Some(facts) = gave.get(&raw.sequence) else { continue };
        for item in meta::items(&raw.payload).unwrap_or_default() {
            let (Some(channel), Some(entry)) = (item.object.channel(), &item.entry_id) else {
                continue;
            };
            if directory.find(channel, entry).is_some() {
                continue;
            }
            let index = i32::try_from(item.index).ok();
            let fact = facts.iter().find(|fact| {
                fact.raw_index == index
                    && fact.channel == channel
                    && !fact.kind.starts_with("webhook.")
            });
            let account = fact.and_then(|fact| directory.find(channel, fact.account_id.as_str()));
            if let Some(account) = account {
                accounts::alias(conn, account, entry).await?;
                found = true;
            }
        }
    }
    Ok(found)
}
