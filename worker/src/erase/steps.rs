//! The steps of an erasure, in order.

use std::str::FromStr;

use facts::erase::{self, Erasure, Forgotten, Target};
use facts::erased::{person_withdrawal, withdrawal};
use facts::{Draft, ids};
use runtime::follow::{Follower, Received, stored};
use schemas::subjects::{self, META_RAW, RAW_WEBHOOKS, Route};
use schemas::{AccountId, Channel, ContactId, MessageId, Timestamp};
use serde_json::json;

use super::turn::{EVENTS_FROM, EVENTS_LAST, RAWS_FROM, RAWS_TO, RULED_AT, Step, counted, turn};
use super::work::{Moved, Work};
use super::{events, rows, scrub};

/// By how much a time that Meta states may be later than that of the broker.
const CLOCKS_DIFFER: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);
/// Withdrawals in one transaction.
const RULES_AT_ONCE: usize = 500;
/// Raw webhooks that are read at once.
const RAWS_AT_ONCE: usize = 200;
/// With more ids than this each body is read by the normaliser rather than searched for each of them.
const NEEDLES_MAX: usize = 32;
/// How long commands that are under way are waited for. After that they end as failed.
const UNDER_WAY_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Does the next piece.
pub(super) async fn step(
    work: &mut Work,
    erasure: &Erasure,
    target: &Target,
) -> anyhow::Result<Moved> {
    let moved = match Step::from_str(&erasure.step)? {
        Step::Rule => rule(work, erasure, target).await,
        Step::Ledger => ledger(work, erasure, target).await,
        Step::Events => events::chunk(work, erasure, target).await,
        Step::Raws => raws(work, erasure, target).await,
        Step::Commands => commands(work, erasure, target).await,
        Step::Tables => tables(work, erasure, target).await,
        Step::Scrub => scrub::end_all(work).await,
    };
    runtime::failpoint!("erase.after_step");
    moved
}

/// Before the first raw webhook that may be about messages. Only where it is not known when one of them was sent all are read.
async fn raws_from(
    work: &Work,
    whose: (Channel, &AccountId),
    messages: &[MessageId],
) -> anyhow::Result<u64> {
    let first = rows::first_raw(&work.pool, whose, messages).await?;
    if first.is_open {
        return Ok(0);
    }
    let by_time = match first.since {
        None => None,
        Some(since) => {
            let since = since.minus(CLOCKS_DIFFER);
            let js = work.broker.js();
            Some(stored::first_since(js, META_RAW, RAW_WEBHOOKS, since).await?)
        }
    };
    let by_fact = first.seq.and_then(|seq| u64::try_from(seq).ok());
    Ok(by_fact.into_iter().chain(by_time).min().unwrap_or(0).saturating_sub(1))
}

/// First it stores where to read from: with the first withdrawal facts are forgotten, and what they say of positions with them.
async fn rule(work: &Work, erasure: &Erasure, target: &Target) -> anyhow::Result<Moved> {
    let (channel, account, at) = (erasure.channel, &erasure.account_id, erasure.until);
    if erasure.position == 0 {
        let mut counts = erasure.counts.clone();
        if let Target::Messages(messages) = target {
            let whose = (channel, account);
            counts[RAWS_FROM] = json!(raws_from(work, whose, messages).await?);
            let event = rows::first_event(&work.pool, whose, messages).await?;
            counts[EVENTS_FROM] = json!(event.saturating_sub(1));
        }
        return turn(work, erasure, Step::Rule, 1, &counts).await;
    }
    let mut drafts: Vec<Draft> = Vec::new();
    let messages: Vec<(MessageId, Option<ContactId>)> = match target {
        Target::Person(contact) => {
            drafts.push(person_withdrawal(channel, account, contact, at));
            let messages = rows::messages_of(&work.pool, channel, account, contact, at).await?;
            messages.into_iter().map(|mid| (mid, Some(contact.clone()))).collect()
        }
        Target::Messages(messages) => {
            rows::with_contacts(&work.pool, (channel, account), messages).await?
        }
    };
    // Also of messages that no event names, so that a webhook that names no sender brings none back.
    drafts.extend(messages.into_iter().map(|(mid, contact)| {
        let id = ids::message(channel, account, mid.as_str());
        withdrawal(channel, account, contact, id, at)
    }));
    for drafts in drafts.chunks(RULES_AT_ONCE) {
        work.facts.begin(drafts).await?.commit().await?;
        runtime::failpoint!("erase.after_rule");
    }
    let mut counts = erasure.counts.clone();
    counts[RULED_AT] = json!(runtime::now().as_millis());
    turn(work, erasure, Step::Ledger, 0, &counts).await
}

async fn ledger(work: &Work, erasure: &Erasure, target: &Target) -> anyhow::Result<Moved> {
    let whose = (erasure.channel, &erasure.account_id);
    let waits = outbound::erase::waits_for(&work.broker, &work.pool, whose, target).await?;
    // What an open reply still has to send is not erased, however long that takes.
    if let Some(why) = waits
        && (why == outbound::erase::OPEN || runtime::now() < ruled_at(erasure).plus(UNDER_WAY_MAX))
    {
        return Ok(Moved::Waits(why.to_owned()));
    }
    let mut tx = work.pool.begin().await?;
    let forgotten = outbound::erase::forget(&mut tx, whose, target, erasure.until).await?;
    let Some((commands, seqs)) = forgotten else {
        return Ok(Moved::Waits(outbound::erase::OPEN.to_owned()));
    };
    // They are found by what the ledger has forgotten once this is committed.
    outbound::erase::erase_commands(&work.broker, &seqs).await?;
    let from = erasure.counts[EVENTS_FROM].as_u64().unwrap_or(0);
    let mut counts = counted(erasure, "commands", commands);
    counts[EVENTS_LAST] = json!(work.newest_event().await?);
    if erase::advance(&mut tx, erasure, Step::Events.as_str(), from, &counts).await? {
        tx.commit().await?;
    }
    Ok(Moved::On)
}

/// When the rule was published: from then on commands that are under way are waited for.
fn ruled_at(erasure: &Erasure) -> Timestamp {
    erasure.counts[RULED_AT].as_i64().map_or(erasure.until, Timestamp::from_millis)
}

async fn raws(work: &mut Work, erasure: &Erasure, target: &Target) -> anyhow::Result<Moved> {
    let needles: Vec<String> = match target {
        Target::Person(contact) => {
            let (channel, account) = (erasure.channel, &erasure.account_id);
            let mids =
                rows::messages_of(&work.pool, channel, account, contact, erasure.until).await?;
            let mids = mids.iter().map(|mid| mid.as_str().to_owned());
            [contact.as_str().to_owned()].into_iter().chain(mids).collect()
        }
        Target::Messages(ids) => ids.iter().map(|mid| mid.as_str().to_owned()).collect(),
    };
    let up_to = erasure.counts[RAWS_TO].as_u64().unwrap_or(0);
    let read = read_raws(work, erasure.position, up_to, &needles).await?;
    let Some((to, redacted)) = read else {
        return turn(work, erasure, Step::Commands, 0, &erasure.counts).await;
    };
    let counts = counted(erasure, "raw_webhooks", redacted);
    turn(work, erasure, Step::Raws, to, &counts).await
}

/// Redacts the next raw webhooks behind a position. Returns how far that is, and how many had something erased; `None` at the end, which the
/// caller gives: more may come all the time.
async fn read_raws(
    work: &mut Work,
    from: u64,
    up_to: u64,
    needles: &[String],
) -> anyhow::Result<Option<(u64, u64)>> {
    let filters = vec![RAW_WEBHOOKS.to_owned()];
    let mut follower = Follower::over(work.broker.clone(), META_RAW, filters, from);
    let (mut to, mut redacted) = (from, 0);
    // One consumer for many batches; the position is stored after some of them.
    for _ in 0..20 {
        let Some(batch) = follower.next_up_to(up_to, RAWS_AT_ONCE).await? else { break };
        to = batch.last().map_or(to, |raw| raw.sequence);
        let about: Vec<Received> =
            batch.into_iter().filter(|raw| may_be_about(&raw.payload, needles)).collect();
        redacted += work.redactor.redact(&about).await?;
    }
    Ok((to > from).then_some((to, redacted)))
}

/// Whether a body may be about something that has one of these ids. Of many ids only the normaliser knows.
fn may_be_about(body: &[u8], needles: &[String]) -> bool {
    if needles.is_empty() || needles.len() > NEEDLES_MAX {
        return true;
    }
    let Ok(text) = std::str::from_utf8(body) else { return false };
    // An id that JSON may write in another way is not searched for.
    needles.iter().any(|id| id.contains(['/', '"', '\\']) || text.contains(id.as_str()))
}

/// Redacts all of META_RAW by the rules. Returns how many bodies had something erased in them.
pub(super) async fn raws_again(
    work: &mut Work,
    show: &mut (dyn FnMut(&'static str, u64) + Send),
) -> anyhow::Result<u64> {
    let (mut at, mut found) = (0, 0);
    let last = stored::last(work.broker.js(), META_RAW, RAW_WEBHOOKS).await?;
    let up_to = last.map_or(0, |last| last.sequence);
    while let Some((to, redacted)) = read_raws(work, at, up_to, &[]).await? {
        (at, found) = (to, found + redacted);
        show(META_RAW, at);
    }
    Ok(found + work.redactor.redact_parked().await?)
}

async fn commands(work: &Work, erasure: &Erasure, target: &Target) -> anyhow::Result<Moved> {
    let whose = (erasure.channel, &erasure.account_id);
    let mut counts = erasure.counts.clone();
    if let Target::Person(contact) = target {
        let (broker, until) = (&work.broker, erasure.until);
        let erased = outbound::erase::erase_commands_to(broker, whose, contact, until).await?;
        counts["command_messages"] = json!(erased);
        let dead = outbound::erase::erase_dead(&work.broker, whose, contact).await?;
        counts["dead_letters"] = json!(dead);
    }
    turn(work, erasure, Step::Tables, 0, &counts).await
}

async fn tables(work: &mut Work, erasure: &Erasure, target: &Target) -> anyhow::Result<Moved> {
    let (channel, account) = (erasure.channel, &erasure.account_id);
    if let Target::Person(contact) = target
        && !rows::forget_requests(&work.pool, (channel, account), contact, erasure.until).await?
    {
        return Ok(Moved::Waits(
            "an api of this release: the database has an older one".to_owned(),
        ));
    }
    events::late(work, erasure, target).await?;
    let mut tx = work.pool.begin().await?;
    let mut done = 0;
    match target {
        Target::Person(contact) => {
            let until = erasure.until;
            // Once more: a command may have been accepted since, and none is left in the stream now.
            outbound::erase::forget(&mut tx, (channel, account), target, until).await?;
            done += rows::forget_senders(&mut tx, (channel, account), contact, until).await?;
            let whose = (channel, account);
            done += inbound::erase::forget_parked(&mut tx, whose, contact, until).await?;
            let lane = subjects::route_key(channel, account, Route::Contact(contact.as_str()));
            done += endpoints::forget(&mut tx, &lane, until).await?;
            let who = Forgotten { channel, account, contact, until };
            done += erase::forget_person(&mut tx, who).await?;
        }
        Target::Messages(messages) => {
            done += rows::forget_items(&mut tx, (channel, account), messages).await?;
            done += erase::forget_messages(&mut tx, channel, account, messages).await?;
        }
    }
    let counts = counted(erasure, "rows", done);
    // It looks at all of them each time, so it may come before the step is stored.
    tx.commit().await?;
    work.redactor.redact_parked().await?;
    turn(work, erasure, Step::Scrub, 0, &counts).await
}
