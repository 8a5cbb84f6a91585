//! ◆ Pure: a conversation as Graph returns it, as events.

use schemas::event::Origin;
use schemas::facts::Message;
use schemas::{ContactId, Event, Fact, Timestamp, Via};

use facts::accounts::directory::Account;
use facts::{Direction, Draft, MessageFact, ids};
use graph::{Conversation, FoundMessage, Party};

use super::report::Reason;

/// A conversation as events, its person first, under the ids that their webhooks would have.
///
/// # Errors
/// When it does not name one person or a time.
pub fn drafts(
    account: &Account,
    conversation: &Conversation,
    via: Via,
) -> Result<Vec<Draft>, Reason> {
    let (person, contact) = person(account, conversation)?;
    let mut messages: Vec<&FoundMessage> = conversation
        .messages
        .iter()
        .filter(|message| message.detailed && message.created_time.is_some())
        .collect();
    messages.sort_by_key(|message| (message.created_time, message.id.clone()));
    let oldest = messages.iter().filter_map(|message| message.created_time).min();
    let Some(seen_at) = oldest.or(conversation.updated_time) else { return Err(Reason::NoTime) };
    let mut drafts = vec![ids::discovery(
        account.channel,
        account.id.clone(),
        contact.clone(),
        seen_at,
        true,
        person.username.clone(),
        conversation.updated_time,
        Origin::of(via),
    )];
    drafts
        .extend(messages.into_iter().filter_map(|message| draft(account, &contact, message, via)));
    Ok(drafts)
}

/// The one person who takes part beside the account.
fn person<'a>(
    account: &Account,
    conversation: &'a Conversation,
) -> Result<(&'a Party, ContactId), Reason> {
    let others: Vec<&Party> = conversation
        .participants
        .iter()
        .filter(|party| !account.is_party(party.id.as_deref(), party.username.as_deref()))
        .collect();
    if others.is_empty() {
        return Err(Reason::OnlyAccount);
    }
    let mut people = others
        .into_iter()
        .filter_map(|party| Some((party, account.contact(party.id.as_deref()?)?)));
    match (people.next(), people.next()) {
        (Some(person), None) => Ok(person),
        (None, _) => Err(Reason::NoPerson),
        _ => Err(Reason::SeveralPeople),
    }
}

fn draft(account: &Account, contact: &ContactId, found: &FoundMessage, via: Via) -> Option<Draft> {
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
        Origin::of(via),
        fact,
    );
    Some(Draft::of(event).with_message(MessageFact::of(found.id.clone(), direction)))
}

#[cfg(test)]
pub(super) mod testing {
    use schemas::Channel;

    use super::*;
    use facts::accounts::directory::Login;

    pub(crate) const PAGE: &str = "103000000000301";
    pub(crate) const PERSON: &str = "7300000000000111";

    pub(crate) fn party(id: &str) -> Party {
        Party { id: Some(id.to_owned()), username: None }
    }

    pub(crate) fn message(id: &str, from: &str, time: i64) -> FoundMessage {
        FoundMessage {
            id: id.into(),
            created_time: Some(Timestamp::from_millis(time)),
            from: Some(party(from)),
            text: Some("hi".to_owned()),
            detailed: true,
            ..FoundMessage::default()
        }
    }

    pub(crate) fn account() -> Account {
        Account {
            channel: Channel::Messenger,
            id: PAGE.into(),
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
}

#[cfg(test)]
mod tests {
    use schemas::{Channel, Kind};

    use super::testing::{PAGE, PERSON, account, message, party};
    use super::*;

    #[test]
    fn a_thread_is_a_contact_and_its_messages_in_order_under_the_ids_of_webhooks() {
        let conversation = Conversation {
            participants: vec![party(PAGE), party(PERSON)],
            messages: vec![message("m2", PAGE, 20), message("m1", PERSON, 10)],
            ..Conversation::default()
        };
        let drafts = drafts(&account(), &conversation, Via::Backfill).unwrap();
        let kinds: Vec<Kind> = drafts.iter().map(|draft| draft.event.kind()).collect();
        assert_eq!(kinds, [Kind::ContactDiscovered, Kind::MessageReceived, Kind::MessageSent]);
        assert_eq!(drafts[1].event.id, ids::message(Channel::Messenger, &PAGE.into(), "m1"));
        assert!(drafts.iter().all(|draft| draft.event.data.origin.via == Via::Backfill));
        let Fact::ContactDiscovered(found) = &drafts[0].event.data.fact else {
            panic!("{drafts:?}")
        };
        assert_eq!(found.placeholder, "User 000111");
    }

    #[test]
    fn a_thread_without_one_person_is_reported_not_guessed() {
        let check = |ids: &[&str], reason| {
            let participants = ids.iter().map(|id| party(id)).collect();
            let thread = Conversation { participants, ..Conversation::default() };
            assert_eq!(drafts(&account(), &thread, Via::Backfill), Err(reason), "{ids:?}");
        };
        check(&[PAGE], Reason::OnlyAccount);
        check(&[PAGE, "17"], Reason::NoPerson);
        check(&[PAGE, PERSON, "7300000000000112"], Reason::SeveralPeople);
        check(&[PAGE, PERSON], Reason::NoTime);
    }
}
