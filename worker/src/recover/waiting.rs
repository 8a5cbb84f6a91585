//! Sender-less items of raw webhooks: where each stands, as the events show it. Those that were found stay as a record; the others wait again.

use std::collections::{BTreeMap, HashMap, HashSet};

use facts::follow_up::senderless::Senderless;
use facts::regain::{PlacedFact, readings};
use facts::{Direction, ids};
use runtime::follow::stored;
use schemas::facts::TriedMethod;
use schemas::subjects::INBOX_EVENTS;
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, MessageId, Timestamp, Via};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::place::Recovery;
use super::rows;
use crate::resolve::evidence::{Method, State};

/// Where an item stands.
#[derive(Clone, Debug, PartialEq)]
enum Standing {
    /// Its message was known before it came.
    NeverWaited,
    /// Found.
    Resolved(String),
    /// Published, and something of it is still looked for.
    Content { method: String, author: Option<(ContactId, Direction)> },
    /// `sender.unresolved` stands.
    Unresolved { event: EventId, contact: Option<ContactId>, tried: Vec<TriedMethod> },
    /// Nothing was published.
    Waiting,
}

/// What is known of the messages of some items.
struct Known {
    readings: HashMap<EventId, Vec<PlacedFact>>,
    messages: HashSet<usize>,
}

/// Puts items into the waiting room as they stand. Returns how many of them wait. `stored_at`: of their raw webhooks.
pub(super) async fn regain(
    recovery: &Recovery,
    conn: &mut PgConnection,
    hints: &[Senderless],
    stored_at: &BTreeMap<u64, Timestamp>,
) -> anyhow::Result<u64> {
    if hints.is_empty() {
        return Ok(0);
    }
    let known = read(conn, hints).await?;
    let mut waiting = 0;
    for (n, hint) in hints.iter().enumerate() {
        let standing = standing(recovery, &known, n, hint).await?;
        if standing == Standing::NeverWaited {
            continue;
        }
        let came = hint.origin.raw_stream_sequence.and_then(|seq| stored_at.get(&seq));
        let came = came.copied().unwrap_or(hint.time);
        if insert(conn, hint, &standing, came).await? && !matches!(standing, Standing::Resolved(_))
        {
            waiting += 1;
        }
    }
    Ok(waiting)
}

/// The event that an item becomes.
fn target(hint: &Senderless) -> EventId {
    let mid = hint.message_id.as_str();
    match hint.num_edit {
        0 => ids::message(hint.channel, &hint.account_id, mid),
        number => {
            ids::edit(hint.channel, &hint.account_id, mid, Some(number), hint.text.as_deref())
        }
    }
}

fn unresolved(hint: &Senderless) -> EventId {
    ids::unresolved(hint.channel, &hint.account_id, hint.message_id.as_str())
}

async fn read(conn: &mut PgConnection, hints: &[Senderless]) -> sqlx::Result<Known> {
    let ids: Vec<EventId> =
        hints.iter().flat_map(|hint| [target(hint), unresolved(hint)]).collect();
    let ids: Vec<&str> = ids.iter().map(EventId::as_str).collect();
    let keys: Vec<(Channel, &AccountId, &MessageId)> =
        hints.iter().map(|hint| (hint.channel, &hint.account_id, &hint.message_id)).collect();
    let messages = rows::known_messages(conn, &keys).await?;
    Ok(Known {
        readings: readings(conn, &ids).await?,
        messages: messages.into_iter().filter_map(|n| usize::try_from(n - 1).ok()).collect(),
    })
}

async fn standing(
    recovery: &Recovery,
    known: &Known,
    n: usize,
    hint: &Senderless,
) -> anyhow::Result<Standing> {
    let is_known = known.messages.contains(&n);
    let Some(readings) = known.readings.get(&target(hint)) else {
        // A message of our own is known by its reply alone.
        if is_known && hint.num_edit == 0 {
            return Ok(Standing::NeverWaited);
        }
        let Some(stands) = known.readings.get(&unresolved(hint)).and_then(|all| all.first()) else {
            return Ok(Standing::Waiting);
        };
        let event = event_at(recovery, stands).await?;
        return Ok(event.map_or(Standing::Waiting, |event| as_unresolved(event, hint)));
    };
    if hint.num_edit == 0 && came_before(readings, hint) {
        return Ok(Standing::NeverWaited);
    }
    let event = match readings.first() {
        Some(latest) => event_at(recovery, latest).await?,
        None => None,
    };
    Ok(as_published(event.as_ref(), hint.num_edit > 0 && !is_known))
}

/// Whether the message itself came by a webhook before the item.
fn came_before(readings: &[PlacedFact], hint: &Senderless) -> bool {
    let item = hint.origin.raw_stream_sequence.map(rows::number);
    readings.iter().any(|one| one.rank == Via::Webhook.rank() && one.raw_seq < item)
}

/// `sender.unresolved` speaks of one item of a message; the others wait beside it.
fn as_unresolved(event: Event, hint: &Senderless) -> Standing {
    match event.data.fact {
        Fact::SenderUnresolved(body) if body.edit_number.unwrap_or(0) == hint.num_edit => {
            Standing::Unresolved {
                event: event.id,
                contact: event.data.contact_id,
                tried: body.tried,
            }
        }
        _ => Standing::Waiting,
    }
}

/// `lacks_message`: it is an edit, and its message is still looked for.
fn as_published(event: Option<&Event>, lacks_message: bool) -> Standing {
    let body = event.and_then(|event| match &event.data.fact {
        Fact::MessageReceived(body) => Some((body, Direction::Inbound)),
        Fact::MessageSent(body) => Some((body, Direction::Outbound)),
        _ => None,
    });
    let by = match event.map(|event| &event.data.fact) {
        Some(Fact::MessageEdited(edit)) => edit.sender_resolution.as_ref(),
        _ => body.and_then(|(body, _)| body.sender_resolution.as_ref()),
    };
    let is_found = event.is_some_and(|event| event.data.origin.via == Via::Reconcile);
    let method = match by {
        Some(by) if is_found => by.method.clone(),
        _ if body.is_some() => Method::Twin.as_str().to_owned(),
        _ => Method::KnownMessage.as_str().to_owned(),
    };
    let lacks_content = body.is_some_and(|(body, _)| body.content_missing == Some(true));
    if !(lacks_message || lacks_content && is_found) {
        return Standing::Resolved(method);
    }
    let contact = event.and_then(|event| event.data.contact_id.clone());
    Standing::Content { method, author: contact.zip(body.map(|(_, direction)| direction)) }
}

/// The event of a reading; `None` where it is gone.
async fn event_at(recovery: &Recovery, fact: &PlacedFact) -> anyhow::Result<Option<Event>> {
    let message = stored::at(recovery.broker.js(), INBOX_EVENTS, fact.event_seq).await?;
    let event = message.and_then(|message| serde_json::from_slice::<Event>(&message.payload).ok());
    Ok(event.filter(|event| event.id == fact.event_id))
}

/// `false`: it is there already.
async fn insert(
    conn: &mut PgConnection,
    hint: &Senderless,
    standing: &Standing,
    came: Timestamp,
) -> sqlx::Result<bool> {
    let is_resolved = matches!(standing, Standing::Resolved(_));
    let (state, method) = match standing {
        Standing::Resolved(method) => ("resolved", Some(method)),
        Standing::Content { method, .. } => (State::Content.as_str(), Some(method)),
        Standing::Unresolved { .. } => (State::Unresolved.as_str(), None),
        Standing::Waiting | Standing::NeverWaited => (State::Waiting.as_str(), None),
    };
    let author = match standing {
        Standing::Content { author, .. } => author.as_ref(),
        _ => None,
    };
    let (event, contact, tried) = match standing {
        Standing::Unresolved { event, contact, tried } => {
            (Some(event), contact.as_ref(), tried.as_slice())
        }
        _ => (None, None, &[][..]),
    };
    let passes = matches!(standing, Standing::Unresolved { .. } | Standing::Content { .. });
    // The words of an item are kept only while they may still be published.
    let text = hint.text.as_deref().filter(|_| event.is_some() || state == State::Waiting.as_str());
    let done = sqlx::query(
        "insert into worker.waiting (channel, account_id, message_id, num_edit, state, due_at, attempts, received_at, time,
                time_approximate, created_time, thread_id, payload_contact, payload_outbound, standby, text, raw_seq, raw_index,
                traceparent, tried, unresolved_event, unresolved_contact, revealed_contact, revealed_direction, method, resolved_at)
         values ($1, $2, $3, $4, $5, case when $6 then null else clock_timestamp() end, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19, $20, $21, $22, $23, $24, $25, case when $6 then clock_timestamp() end)
         on conflict (channel, account_id, message_id, num_edit) do nothing",
    )
    .bind(hint.channel)
    .bind(&hint.account_id)
    .bind(&hint.message_id)
    .bind(hint.num_edit)
    .bind(state)
    .bind(is_resolved)
    .bind(i32::from(passes))
    .bind(came)
    .bind(hint.time)
    .bind(hint.time_approximate)
    .bind(hint.created_at)
    .bind(&hint.thread_id)
    .bind(&hint.sender)
    .bind(hint.outbound)
    .bind(hint.standby)
    .bind(text)
    .bind(hint.origin.raw_stream_sequence.map(rows::number))
    .bind(hint.origin.index.and_then(|index| i32::try_from(index).ok()))
    .bind(&hint.traceparent)
    .bind(Json(tried))
    .bind(event)
    .bind(contact)
    .bind(author.map(|(contact, _)| contact))
    .bind(author.map(|(_, direction)| direction.as_str()))
    .bind(method)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
