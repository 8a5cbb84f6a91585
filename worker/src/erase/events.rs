//! INBOX_EVENTS: each event that the rules forbid is withdrawn, durably, and then erased. Readers that come later find the withdrawal.

use facts::Draft;
use facts::erase::{self, Erasure, Target};
use facts::erased::{Erased, withdrawal};
use runtime::follow::{Follower, Received, stored};
use runtime::streams;
use schemas::subjects::{self, EVENT_ALL, INBOX_EVENTS, Route, token};
use schemas::{AccountId, Channel, Event, EventId, Kind};

use super::turn::{EVENTS_LAST, EVENTS_TO, Step, counted, turn_to_raws};
use super::work::{Moved, Work};

/// Events that are read at once.
const AT_ONCE: usize = 500;

/// Kinds of events that name a person who has no conversation there.
const BY_AUTHORS: [Kind; 10] = [
    Kind::CommentCreated,
    Kind::CommentEdited,
    Kind::CommentDeleted,
    Kind::CommentHidden,
    Kind::CommentUnhidden,
    Kind::CommentReacted,
    Kind::CommentUnreacted,
    Kind::PostChanged,
    Kind::PostReacted,
    Kind::MentionCreated,
];

/// Kinds of events with the content of a message.
const OF_MESSAGES: [Kind; 12] = [
    Kind::MessageReceived,
    Kind::MessageSent,
    Kind::MessageEdited,
    Kind::MessageReacted,
    Kind::MessageUnreacted,
    Kind::PostbackReceived,
    Kind::OrderReceived,
    Kind::FeedbackReceived,
    Kind::SenderUnresolved,
    Kind::ReplySent,
    Kind::ReplyFailed,
    Kind::ReplyUnknown,
];

/// Where events about a target may stand.
fn filters(channel: Channel, account: &AccountId, target: &Target) -> Vec<String> {
    let anywhere = |kinds: &[Kind]| -> Vec<String> {
        let account = token(account.as_str());
        let of = |kind: &Kind| {
            format!("inbox.v1.event.*.{channel}.{account}.{}", kind.as_str().replace('.', "-"))
        };
        kinds.iter().map(of).collect()
    };
    match target {
        Target::Person(contact) => {
            let route = Route::Contact(contact.as_str());
            let mut filters = anywhere(&BY_AUTHORS);
            // Those of the person's own partition are not to be asked for twice.
            let others = Kind::ALL.iter().filter(|kind| !BY_AUTHORS.contains(kind));
            filters.extend(others.map(|kind| subjects::event(channel, account, route, *kind)));
            filters
        }
        Target::Messages(_) => anywhere(&OF_MESSAGES),
    }
}

/// Withdraws and erases the next events of a target.
pub(super) async fn chunk(
    work: &Work,
    erasure: &Erasure,
    target: &Target,
) -> anyhow::Result<Moved> {
    let filters = filters(erasure.channel, &erasure.account_id, target);
    // Fixed when the step began: events come all the time, and it has to end.
    let last = erasure.counts[EVENTS_LAST].as_u64().unwrap_or(0);
    if last <= erasure.position {
        return turn_to_raws(work, erasure, target).await;
    }
    let mut follower = Follower::over(work.broker.clone(), INBOX_EVENTS, filters, erasure.position);
    let Some(batch) = follower.next_up_to(last, AT_ONCE).await? else {
        return turn_to_raws(work, erasure, target).await;
    };
    let to = batch.last().map_or(erasure.position, |event| event.sequence);
    let (ids, erased) = forget(work, &batch, erasure.until).await?;
    let counts = counted(erasure, "events", erased);
    let mut tx = work.pool.begin().await?;
    erase::forget_events(&mut tx, &ids).await?;
    if erase::advance(&mut tx, erasure, Step::Events.as_str(), to, &counts).await? {
        tx.commit().await?;
    }
    Ok(Moved::On)
}

/// Once more behind where the step ended: whoever planned an event before the rule may have published it since, and died.
pub(super) async fn late(work: &Work, erasure: &Erasure, target: &Target) -> anyhow::Result<()> {
    let Some(last) = stored::last(work.broker.js(), INBOX_EVENTS, EVENT_ALL).await? else {
        return Ok(());
    };
    let filters = filters(erasure.channel, &erasure.account_id, target);
    let from = erasure.counts[EVENTS_TO].as_u64().unwrap_or(0);
    let mut follower = Follower::over(work.broker.clone(), INBOX_EVENTS, filters, from);
    while let Some(batch) = follower.next_up_to(last.sequence, AT_ONCE).await? {
        let (ids, _) = forget(work, &batch, erasure.until).await?;
        erase::forget_events(&mut *work.pool.acquire().await?, &ids).await?;
    }
    Ok(())
}

/// Withdraws and erases what the rules forbid of a batch. Returns the ids of the events, and how many messages were erased.
async fn forget(
    work: &Work,
    batch: &[Received],
    at: schemas::Timestamp,
) -> anyhow::Result<(Vec<EventId>, u64)> {
    let events: Vec<(u64, Event)> = batch
        .iter()
        .filter_map(|one| Some((one.sequence, serde_json::from_slice(&one.payload).ok()?)))
        .collect();
    let mut conn = work.pool.acquire().await?;
    let rules = erase::rules(&mut conn, events.iter().map(|(_, event)| event)).await?;
    drop(conn);
    let gone: Vec<&(u64, Event)> = events.iter().filter(|(_, event)| rules.has(event)).collect();
    let redacted = redact(work, &events, &rules).await?;
    if gone.is_empty() {
        return Ok((Vec::new(), redacted));
    }
    let drafts: Vec<Draft> = gone
        .iter()
        .filter(|(_, event)| !rules.is_withdrawn(&event.id))
        .map(|(_, event)| {
            let data = &event.data;
            let (id, person) = (event.id.clone(), data.contact_id.clone());
            withdrawal(data.channel, &data.account_id, person, id, at)
        })
        .collect();
    work.facts.begin(&drafts).await?.commit().await?;
    runtime::failpoint!("erase.after_withdrawals");
    let seqs: Vec<u64> = gone.iter().map(|(seq, _)| *seq).collect();
    let erased = streams::erase(work.broker.js(), INBOX_EVENTS, &seqs).await?;
    runtime::failpoint!("erase.after_events");
    Ok((gone.iter().map(|(_, event)| event.id.clone()).collect(), erased + redacted))
}

/// Publishes outcomes of replies again without the words of erased messages, and then erases those with them: what a reply has sent beside an
/// erased message stays. Returns how many were erased.
async fn redact(work: &Work, events: &[(u64, Event)], rules: &Erased) -> anyhow::Result<u64> {
    let with_words =
        || events.iter().filter(|(_, event)| !rules.has(event) && rules.has_words(event));
    // The store takes the words out.
    let drafts: Vec<Draft> = with_words().map(|(_, event)| Draft::of(event.clone())).collect();
    if drafts.is_empty() {
        return Ok(0);
    }
    work.facts.begin(&drafts).await?.commit().await?;
    let seqs: Vec<u64> = with_words().map(|(seq, _)| *seq).collect();
    Ok(streams::erase(work.broker.js(), INBOX_EVENTS, &seqs).await?)
}

/// Withdraws and erases all that the rules forbid in INBOX_EVENTS. Returns how many events that were.
pub(super) async fn again(
    work: &Work,
    show: &mut (dyn FnMut(&'static str, u64) + Send),
) -> anyhow::Result<u64> {
    let Some(last) = stored::last(work.broker.js(), INBOX_EVENTS, EVENT_ALL).await? else {
        return Ok(0);
    };
    let filters = vec![EVENT_ALL.to_owned()];
    let mut follower = Follower::over(work.broker.clone(), INBOX_EVENTS, filters, 0);
    let mut found = 0;
    while let Some(batch) = follower.next_up_to(last.sequence, AT_ONCE).await? {
        let (ids, erased) = forget(work, &batch, runtime::now()).await?;
        erase::forget_events(&mut *work.pool.acquire().await?, &ids).await?;
        found += erased;
        show(INBOX_EVENTS, batch.last().map_or(0, |event| event.sequence));
    }
    Ok(found)
}
