//! Claims many commands at once: what is to be sent is written down and logged together; everything else is left to [`super::step`].

use std::collections::{BTreeSet, HashMap, HashSet};

use runtime::deadline::Moment;
use runtime::failpoint;
use schemas::{AccountId, Channel, Timestamp};
use sqlx::PgConnection;

use super::claim::{Attempt, entry, lane, usable};
use super::claim_step::{ClaimStep, News, Read, claim_step, open_part};
use crate::attempt_log::{AttemptLog, Behind, Entry, Marks, shard_of};
use crate::claim_context::{self, Around};
use crate::ledger::part_sets::{self, Begin};
use crate::ledger::{CommandRow, PartRow, command_sets, parts, transitions, under_way};
use crate::services::Services;
use facts::accounts::Connected;

/// What came of it.
#[derive(Default)]
pub(crate) struct ClaimedAll {
    /// Written down, logged and committed: Meta may be asked.
    pub(crate) attempts: Vec<Attempt>,
    /// Not to be sent as they stand, or somebody else's.
    pub(crate) rest: Vec<String>,
}

impl ClaimedAll {
    /// Nothing was claimed.
    pub(crate) fn nothing(rest: Vec<String>) -> Self {
        Self { attempts: Vec::new(), rest }
    }
}

/// A command, its open part, and the rule that allows it.
type ToSend<'a> = (&'a CommandRow, PartRow, &'static str);

/// A command that is to be sent.
struct Chosen {
    command: CommandRow,
    part: PartRow,
    rule: &'static str,
    connected: Connected,
}

/// Claims those of these commands that are open, due, nobody else's, and to be sent now; at most one of a lane. `None`: the ledger is
/// behind the log, and nothing was claimed.
///
/// # Errors
/// Database, broker or the store of tokens failed; whether the claim was committed is unknown. If it was, others look at the commands
/// again when it lapses.
pub(crate) async fn claim_all(
    services: &Services,
    identities: &[String],
) -> anyhow::Result<Option<ClaimedAll>> {
    match try_claim_all(services, identities).await {
        Err(error) if error.is::<Behind>() => Ok(None),
        claimed => claimed.map(Some),
    }
}

async fn try_claim_all(services: &Services, identities: &[String]) -> anyhow::Result<ClaimedAll> {
    // Taken before the database's clock is read, so that what is counted from it ends earlier.
    let begun = Moment::now();
    failpoint!("send.before_claim");
    let mut tx = services.pool.begin().await?;
    let commands = command_sets::lock_all_due(&mut tx, identities).await?;
    if commands.is_empty() {
        return Ok(ClaimedAll::nothing(identities.to_vec()));
    }
    let shards: BTreeSet<u32> =
        commands.iter().map(|command| shard_of(command.channel, &command.account_id)).collect();
    // Before the contexts are read: whether the ledger is behind the log is part of them.
    let marks = AttemptLog::lock(&mut tx, &shards).await?;
    let locked: Vec<&str> = commands.iter().map(|command| command.identity.as_str()).collect();
    let mut parts: HashMap<String, Vec<PartRow>> = HashMap::new();
    for part in parts::of_all(&mut tx, &locked).await? {
        parts.entry(part.identity.clone()).or_default().push(part);
    }
    let none = Vec::new();
    let around: Vec<Around<'_>> = commands
        .iter()
        .map(|command| {
            let part = open_part(parts.get(&command.identity).unwrap_or(&none));
            Around { command, part }
        })
        .collect();
    let contexts = claim_context::read_all(&mut tx, &around).await?;
    let Some(first) = contexts.first() else {
        return Ok(ClaimedAll::nothing(identities.to_vec()));
    };
    let (now, accounts_version) = (first.now, first.accounts_version);
    let mut sends = Vec::new();
    let mut lanes = HashSet::new();
    for (command, context) in commands.iter().zip(&contexts) {
        let parts = parts.get(&command.identity).unwrap_or(&none);
        let read = Read { command, parts, context };
        let step = claim_step(read, News::NotAsked, &services.waits, &services.retry_waits());
        if let ClaimStep::Send { part, rule } = step
            && lanes.insert(command.lane.as_str())
        {
            sends.push((command, *part, rule));
        }
    }
    let (sends, later) = with_place(services, &mut tx, sends).await?;
    let mut chosen = Vec::with_capacity(sends.len());
    let senders = sends.iter().map(|(command, ..)| *command);
    let tokens = services.tokens.of(&mut tx, accounts_version, senders).await?;
    for (command, part, rule) in sends {
        let key = (command.channel, command.account_id.clone());
        let Some(connected) = tokens.get(&key).cloned() else { continue };
        // Asked before the attempt is written down: a call that is kept back is no attempt.
        if services.graph.allow(&connected.account, lane(&part.payload)).is_ok() {
            chosen.push(Chosen { command: command.clone(), part, rule, connected });
        }
    }
    let sent: HashSet<&str> =
        chosen.iter().map(|chosen| chosen.command.identity.as_str()).collect();
    let is_rest =
        |identity: &&String| !sent.contains(identity.as_str()) && !later.contains(*identity);
    let rest = identities.iter().filter(is_rest).cloned().collect();
    if chosen.is_empty() {
        return Ok(ClaimedAll::nothing(rest));
    }
    let attempts = begin(services, tx, &marks, chosen, (now, begun)).await?;
    Ok(ClaimedAll { attempts, rest })
}

/// Of what is to be sent, what has a place beside all that other workers have in flight; and the others, which are found by a later look. The marks of its shards are locked, so
/// nobody else begins an attempt of these accounts meanwhile.
async fn with_place<'a>(
    services: &Services,
    tx: &mut PgConnection,
    sends: Vec<ToSend<'a>>,
) -> sqlx::Result<(Vec<ToSend<'a>>, Vec<String>)> {
    if services.places.are_all() || sends.is_empty() {
        return Ok((sends, Vec::new()));
    }
    let mut taken: HashMap<(Channel, AccountId), i64> = under_way::by_account(tx).await?;
    let mut later = Vec::new();
    let mut with_place = Vec::with_capacity(sends.len());
    for send in sends {
        let command = send.0;
        let key = (command.channel, command.account_id.clone());
        let taken = taken.entry(key).or_default();
        if services.places.has_room(command.channel, &command.account_id, *taken) {
            *taken += 1;
            with_place.push(send);
        } else {
            later.push(command.identity.clone());
        }
    }
    Ok((with_place, later))
}

/// Writes the attempts down, logs them, and commits.
async fn begin(
    services: &Services,
    mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
    marks: &Marks,
    chosen: Vec<Chosen>,
    (now, begun): (Timestamp, Moment),
) -> anyhow::Result<Vec<Attempt>> {
    let deadline = now.plus(services.waits.send_lease);
    let ends_at = begun.plus(usable(services.waits.send_lease));
    let begins: Vec<Begin<'_>> = chosen
        .iter()
        .map(|one| Begin { identity: &one.command.identity, n: one.part.n, rule: one.rule })
        .collect();
    part_sets::begin_all(&mut tx, &begins, &services.worker, now, deadline).await?;
    let mut shards: HashMap<u32, Vec<Entry>> = HashMap::new();
    let attempts: Vec<Attempt> = chosen
        .into_iter()
        .map(|Chosen { command, part, connected, .. }| {
            let part = transitions::begun(part, now, deadline);
            let shard = shard_of(command.channel, &command.account_id);
            shards.entry(shard).or_default().push(entry(&command, &part, now, deadline));
            Attempt { command, part, connected, ends_at }
        })
        .collect();
    failpoint!("send.before_log");
    let logged = services.log.append(&mut tx, marks, shards.into_iter().collect()).await?;
    failpoint!("send.after_log");
    failpoint!("send.before_begin_commit");
    tx.commit().await?;
    failpoint!("send.after_begin_commit");
    logged.made();
    Ok(attempts)
}
