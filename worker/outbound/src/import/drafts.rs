//! ◆ Pure: a conversation as Graph returns it, as events.

use schemas::event::Origin;
use schemas::facts::Message;
use schemas::{ContactId, Event, Fact, Timestamp, Via};

use facts::accounts::directory::Account;
use facts::{Direction, Draft, MessageFact, ids};
use graph::{Conversation, FoundMessage};

/// A conversation as events.
///
/// # Errors
/// A word for `Progress::failures`, when it does not name one person or a time.
pub(super) fn drafts(
    account: &Account,
    conversation: &Conversation,
) -> Result<Vec<Draft>, &'static str> {
    let mut others = conversation.participants.iter().filter_map(|party| {
        let own = account.is_party(party.id.as_deref(), party.username.as_deref());
        let contact = account.contact(party.id.as_deref()?).filter(|_| !own)?;
        Some((party, contact))
    });
    let (Some((person, contact)), None) = (others.next(), others.next()) else {
        return Err("no_single_person");
    };
    let mut messages: Vec<&FoundMessage> = conversation
        .messages
        .iter()
        .filter(|message| message.detailed && message.created_time.is_some())
        .collect();
    messages.sort_by_key(|message| (message.created_time, message.id.clone()));
    let oldest = messages.iter().filter_map(|message| message.created_time).min();
    let Some(seen_at) = oldest.or(conversation.updated_time) else { return Err("no_time") };
    let mut drafts = vec![ids::discovery(
        account.channel,
        account.id.clone(),
        contact.clone(),
        seen_at,
        true,
        person.username.clone(),
        conversation.updated_time,
        Origin::of(Via::Backfill),
    )];
    drafts.extend(messages.into_iter().filter_map(|message| draft(account, &contact, message)));
    Ok(drafts)
}

fn draft(account: &Account, contact: &ContactId, found: &FoundMessage) -> Option<Draft> {
    let time: Timestamp = found.created_time?;
    let from = found.from.as_ref()?.id.as_deref()?;
    let direction = if from == contact.as_str() { Direction::Inbound } else { Direction::Outbound };
    let body = Message {
        message_id: found.id.clone(),
        text: found.text.clone(),
        attachments: found.attachments.clone(),
        reply_to: found.reply_to.clone(),
        unsupported: found.unsupported.then_some(true),
        content_missing: (!found.has_content()).then_some(true),
        ..Message::default()
    };
    let fact = match direction {
        Direction::Inbound => Fact::MessageReceived(body),
        Direction::Outbound => Fact::MessageSent(body),
    };
    let id = ids::message(account.channel, &account.id, found.id.as_str());
    let event = Event::new(
        id,
        time,
        account.channel,
        account.id.clone(),
        Some(contact.clone()),
        Origin::of(Via::Backfill),
        fact,
    );
    Some(Draft::of(event).with_message(MessageFact::of(found.id.clone(), direction)))
}

#[cfg(test)]
mod tests {
    use schemas::{Channel, Kind};

    use super::*;
    use facts::accounts::directory::Login;
    use graph::Party;

    fn party(id: &str) -> Party {
        Party { id: Some(id.to_owned()), username: None }
    }

    fn message(id: &str, from: &str, time: i64) -> FoundMessage {
        FoundMessage {
            id: id.into(),
            created_time: Some(Timestamp::from_millis(time)),
            from: Some(party(from)),
            text: Some("hi".to_owned()),
            detailed: true,
            ..FoundMessage::default()
        }
    }

    fn account() -> Account {
        Account {
            channel: Channel::Messenger,
            id: "103000000000301".into(),
            login: Login::Facebook,
            app: None,
            page_id: None,
            handle: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    #[test]
    fn a_thread_is_a_contact_and_its_messages_in_order_under_the_ids_of_webhooks() {
        let (page, person) = ("103000000000301", "7300000000000111");
        let conversation = Conversation {
            participants: vec![party(page), party(person)],
            messages: vec![message("m2", page, 20), message("m1", person, 10)],
            ..Conversation::default()
        };
        let drafts = drafts(&account(), &conversation).unwrap();
        let kinds: Vec<Kind> = drafts.iter().map(|draft| draft.event.kind()).collect();
        assert_eq!(kinds, [Kind::ContactDiscovered, Kind::MessageReceived, Kind::MessageSent]);
        assert_eq!(drafts[1].event.id, ids::message(Channel::Messenger, &page.into(), "m1"));
        assert!(drafts.iter().all(|draft| draft.event.data.origin.via == Via::Backfill));
    }

    #[test]
    fn a_thread_without_one_person_is_reported_not_guessed() {
        let nobody = Conversation {
            participants: vec![party("103000000000301")],
            ..Conversation::default()
        };
        assert_eq!(drafts(&account(), &nobody), Err("no_single_person"));
    }
}
