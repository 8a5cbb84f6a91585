//! ◆ Pure: the facts that follow from a settled or an unsettled item, under the same ids as from a webhook.

use schemas::event::Origin;
use schemas::facts::{
    Message, MessageEdited, SenderResolution, SenderUnresolved, TriedMethod, WithdrawReason,
};
use schemas::{ContactId, Event, EventId, Fact, Timestamp, Via};
use serde_json::{Value, json};

use super::evidence::{Author, Item, State};
use super::ladder::Settled;
use facts::{Direction, Draft, MessageFact, ids};

/// A mid's own time is believed where it agrees with Graph's whole seconds.
const SECOND_MS: i64 = 1000;

/// When a message was made, and whether that is only an approximation. Graph gives whole seconds; the mid, where it agrees with
/// them, has the millisecond that the webhook would have had. Without Graph the mid alone, else the time of the hint.
pub fn message_time(item: &Item, by_graph: Option<Timestamp>) -> (Timestamp, bool) {
    match (by_graph, item.created_time) {
        (Some(found), Some(made)) if (made.as_millis() - found.as_millis()).abs() < SECOND_MS => {
            (made, false)
        }
        (Some(found), _) => (found, false),
        (None, Some(made)) => (made, false),
        (None, None) => (item.time, true),
    }
}

fn origin(item: &Item) -> Origin {
    Origin {
        via: Via::Reconcile,
        raw_stream_sequence: item.raw_seq,
        index: item.raw_index,
        revision: 0,
        source_era: Some(item.raw_era),
    }
}

/// A real edit that named its author is published as its webhook reported it; it only waited for its message.
fn edited(item: &Item, contact: &ContactId, resolution: &SenderResolution) -> Draft {
    let by_webhook = item.payload_contact.is_some();
    let id = ids::edit(
        item.channel,
        &item.account_id,
        item.message_id.as_str(),
        Some(item.num_edit),
        item.text.as_deref(),
    );
    let fact = Fact::MessageEdited(MessageEdited {
        message_id: item.message_id.clone(),
        text: item.text.clone(),
        edit_number: Some(item.num_edit),
        sender_resolution: (!by_webhook).then(|| resolution.clone()),
    });
    let time = (item.time, item.time_approximate);
    let mut event = event(item, id, time, Some(contact.clone()), fact);
    if by_webhook {
        event.data.origin.via = Via::Webhook;
    }
    Draft::of(event)
}

fn event(
    item: &Item,
    id: EventId,
    time: (Timestamp, bool),
    contact: Option<ContactId>,
    fact: Fact,
) -> Event {
    let mut event =
        Event::new(id, time.0, item.channel, item.account_id.clone(), contact, origin(item), fact);
    event.data.time_approximate = time.1;
    event.data.standby = item.standby;
    event.traceparent = item.traceparent.clone();
    event
}

fn message_id(item: &Item) -> EventId {
    ids::message(item.channel, &item.account_id, item.message_id.as_str())
}

/// How the sender was found, as events show it: ids and outcomes, no content.
pub fn resolution(
    settled: &Settled,
    tried: &[TriedMethod],
    guesses: Option<&Value>,
) -> SenderResolution {
    let mut evidence = json!({ "tried": tried });
    if let Some(guesses) = guesses {
        evidence["guesses_not_used"] = guesses.clone();
    }
    SenderResolution { method: settled.method.as_str().to_owned(), evidence: Some(evidence) }
}

/// The facts of a settled item: the person, the message (unless its own item or webhook brings it), the edit, and the withdrawal of
/// `sender.unresolved` where it stands.
pub fn settled(item: &Item, settled: &Settled, resolution: &SenderResolution) -> Vec<Draft> {
    let contact = &settled.author.contact;
    let mut drafts = Vec::new();
    let by_graph = settled.content.as_ref().and_then(|content| content.created_time);
    let time = message_time(item, by_graph);
    // An edit whose message we know, or whose message nobody knows, adds the edit alone.
    if item.num_edit == 0 || settled.content.is_some() {
        drafts.push(ids::discovery(
            item.channel,
            item.account_id.clone(),
            contact.clone(),
            time.0,
            time.1,
            None,
            None,
            origin(item),
        ));
        let body = body(item, settled, resolution);
        let fact = match settled.author.direction {
            Direction::Inbound => Fact::MessageReceived(body),
            Direction::Outbound => Fact::MessageSent(body),
        };
        let message = event(item, message_id(item), time, Some(contact.clone()), fact);
        drafts.push(Draft::of(message).with_message(MessageFact {
            message_id: item.message_id.clone(),
            direction: settled.author.direction,
            thread_id: item.thread_id.clone(),
        }));
    }
    // An edit that was published while its message was looked for is not published twice: its words are gone from here.
    let said = item.num_edit > 0 && item.state == State::Content;
    if item.num_edit > 0 && !said {
        drafts.push(edited(item, contact, resolution));
    }
    if !said {
        drafts.extend(withdrawal(item, &settled.author, time.0));
    }
    drafts
}

fn body(item: &Item, settled: &Settled, resolution: &SenderResolution) -> Message {
    let mut body = Message {
        message_id: item.message_id.clone(),
        sender_resolution: Some(resolution.clone()),
        ..Message::default()
    };
    if item.num_edit == 0 {
        body.text = item.text.clone();
    }
    if let Some(content) = &settled.content {
        body.text = body.text.or_else(|| content.text.clone());
        body.attachments = content.attachments.clone();
        body.reply_to = content.reply_to.clone();
        body.unsupported = content.unsupported.then_some(true);
    }
    if lacks_content(&body) {
        body.content_missing = Some(true);
    }
    body
}

const fn lacks_content(body: &Message) -> bool {
    body.text.is_none() && body.attachments.is_empty() && body.unsupported.is_none()
}

/// Whether something is still to be looked for: the content of a message, or the message of an edit.
pub fn content_missing(item: &Item, settled: &Settled, known: bool) -> bool {
    if item.num_edit > 0 {
        return !known && settled.content.is_none();
    }
    let found = settled.content.as_ref().is_some_and(graph::FoundMessage::has_content);
    item.text.is_none() && !found
}

/// The withdrawal of `sender.unresolved`, where it stands. It goes where that went, so that their order is kept.
pub fn withdrawal(item: &Item, author: &Author, time: Timestamp) -> Option<Draft> {
    let unresolved = ids::unresolved(item.channel, &item.account_id, item.message_id.as_str());
    let superseded_by = match (item.num_edit, &author.direction) {
        (0, _) => message_id(item),
        (number, _) => ids::edit(
            item.channel,
            &item.account_id,
            item.message_id.as_str(),
            Some(number),
            item.text.as_deref(),
        ),
    };
    item.unresolved.then(|| {
        let mut draft = Draft::withdrawal(
            item.channel,
            item.account_id.clone(),
            item.unresolved_contact.clone(),
            unresolved,
            WithdrawReason::Superseded,
            Some(superseded_by),
            Some(item.message_id.clone()),
            time,
            Via::Reconcile,
        );
        draft.event.traceparent = item.traceparent.clone();
        draft
    })
}

/// `sender.unresolved`: the message exists, nobody knows whose it is; under a person only where a hint names one.
pub fn unresolved(item: &Item, tried: Vec<TriedMethod>, contact: Option<ContactId>) -> Draft {
    let id = ids::unresolved(item.channel, &item.account_id, item.message_id.as_str());
    let fact = Fact::SenderUnresolved(SenderUnresolved {
        message_id: item.message_id.clone(),
        tried,
        edit_number: (item.num_edit > 0).then_some(item.num_edit),
    });
    let time = message_time(item, None);
    Draft::of(event(item, id, time, contact, fact))
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
