//! ◆ Pure: what must not return after an erasure (docs/decisions/43).
//!
//! The rules are withdrawals with the reason `erased`, under ids that follow from what they are about: of one fact under its own id, of a
//! message under the id of its fact, of a person under an id of their own, with the time up to which they are forgotten.

use std::collections::HashMap;

use schemas::facts::{FactWithdrawn, Reply, WithdrawReason};
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, MessageId, Timestamp, Via};

use crate::draft::Draft;
use crate::follow_up::senderless::Senderless;
use crate::ids;

/// The rules that concern some events, by id. The time is that of a rule about a person.
#[derive(Clone, Debug, Default)]
pub struct Erased(HashMap<EventId, Option<Timestamp>>);

/// The id of the rule about a person.
pub fn person_rule(channel: Channel, account: &AccountId, person: &str) -> EventId {
    EventId::derive(channel, account, "contact.erased", &[person])
}

/// The rule about a person, as it is published: what they did up to `until` is not to return.
pub fn person_withdrawal(
    channel: Channel,
    account: &AccountId,
    person: &ContactId,
    until: Timestamp,
) -> Draft {
    let rule = person_rule(channel, account, person.as_str());
    let mut draft = withdrawal(channel, account, Some(person.clone()), rule, until);
    if let Fact::FactWithdrawn(body) = &mut draft.event.data.fact {
        body.erased_until = Some(until);
    }
    draft
}

/// The rule about a fact or a message. Its time follows from the erasure, so that a repetition is the same event.
pub fn withdrawal(
    channel: Channel,
    account: &AccountId,
    person: Option<ContactId>,
    id: EventId,
    at: Timestamp,
) -> Draft {
    let (account, reason) = (account.clone(), WithdrawReason::Erased);
    Draft::withdrawal(channel, account, person, id, reason, None, None, at, Via::Command)
}

/// Whose act or data an event is, as far as it is a person's.
pub fn person(event: &Event) -> Option<&str> {
    if let Some(contact) = &event.data.contact_id {
        return Some(contact.as_str());
    }
    let author = match &event.data.fact {
        Fact::CommentCreated(body)
        | Fact::CommentEdited(body)
        | Fact::CommentDeleted(body)
        | Fact::CommentHidden(body)
        | Fact::CommentUnhidden(body) => &body.author,
        Fact::CommentReacted(body) | Fact::CommentUnreacted(body) => &body.author,
        Fact::PostChanged(body) => &body.author,
        Fact::PostReacted(body) => &body.author,
        Fact::MentionCreated(body) => &body.author,
        _ => return None,
    };
    author.id.as_deref().filter(|_| author.is_self != Some(true))
}

/// The messages whose content an event has. What only says that a message was removed, delivered or read has none.
pub fn messages(event: &Event) -> Vec<&MessageId> {
    match &event.data.fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => vec![&body.message_id],
        Fact::MessageEdited(body) => vec![&body.message_id],
        Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => vec![&body.message_id],
        Fact::PostbackReceived(body) => body.message_id.iter().collect(),
        Fact::FeedbackReceived(body) => body.message_id.iter().collect(),
        Fact::OrderReceived(body) => body.message_id.iter().collect(),
        Fact::SenderUnresolved(body) => vec![&body.message_id],
        Fact::ReplySent(body) | Fact::ReplyFailed(body) | Fact::ReplyUnknown(body) => {
            body.parts.iter().filter_map(|part| part.message_id.as_ref()).collect()
        }
        _ => Vec::new(),
    }
}

const fn reply(fact: &Fact) -> Option<&Reply> {
    match fact {
        Fact::ReplySent(body) | Fact::ReplyFailed(body) | Fact::ReplyUnknown(body) => Some(body),
        _ => None,
    }
}

/// The ids under which a rule may concern an event.
pub(crate) fn rules_of(event: &Event) -> Vec<EventId> {
    if matches!(event.data.fact, Fact::FactWithdrawn(_)) {
        return Vec::new();
    }
    let (channel, account) = (event.data.channel, &event.data.account_id);
    let person = person(event).map(|person| person_rule(channel, account, person));
    let messages = messages(event).into_iter();
    let messages = messages.map(|mid| ids::message(channel, account, mid.as_str()));
    person.into_iter().chain(messages).collect()
}

/// The same of a sender-less item.
pub(crate) fn rules_of_senderless(item: &Senderless) -> Vec<EventId> {
    let (channel, account) = (item.channel, &item.account_id);
    let message = ids::message(channel, account, item.message_id.as_str());
    let person = item.sender.as_ref().map(|one| person_rule(channel, account, one.as_str()));
    [message].into_iter().chain(person).collect()
}

impl Erased {
    /// Notes the withdrawal of an event or the rule that it is.
    pub fn insert(&mut self, id: EventId, until: Option<Timestamp>) {
        let known = self.0.entry(id).or_default();
        *known = (*known).max(until);
    }

    /// Notes a withdrawal that is about to be published.
    pub(crate) fn learn(&mut self, withdrawal: &FactWithdrawn) {
        if withdrawal.reason == WithdrawReason::Erased {
            self.insert(withdrawal.event_id.clone(), withdrawal.erased_until);
        }
    }

    /// Whether an event was withdrawn itself.
    pub fn is_withdrawn(&self, id: &EventId) -> bool {
        self.0.contains_key(id)
    }

    /// Whether an event must not be published, or be kept: it was erased itself, its message was, or its person up to then.
    pub fn has(&self, event: &Event) -> bool {
        if self.0.is_empty() || matches!(event.data.fact, Fact::FactWithdrawn(_)) {
            return false;
        }
        self.0.contains_key(&event.id) || self.has_person(event) || self.has_message(event)
    }

    /// The same of a sender-less item.
    pub fn has_senderless(&self, item: &Senderless) -> bool {
        let (channel, account) = (item.channel, &item.account_id);
        self.0.contains_key(&ids::message(channel, account, item.message_id.as_str()))
            || item.sender.as_ref().is_some_and(|one| {
                self.until(channel, account, one.as_str()).is_some_and(|until| item.time <= until)
            })
    }

    /// Whether the rule about a person is of this time.
    pub fn has_rule_at(&self, rule: &EventId, time: Timestamp) -> bool {
        self.0.get(rule).copied().flatten().is_some_and(|until| time <= until)
    }

    fn has_person(&self, event: &Event) -> bool {
        let (channel, account) = (event.data.channel, &event.data.account_id);
        let until = person(event).and_then(|person| self.until(channel, account, person));
        until.is_some_and(|until| event.time <= until)
    }

    /// Of an outcome: whether all that was to be sent is an erased message. Else it keeps what it says of the others.
    fn has_message(&self, event: &Event) -> bool {
        let is_erased = |mid: &MessageId| self.has_mid(event, mid);
        match reply(&event.data.fact) {
            Some(reply) => {
                let of_part = |mid: Option<&MessageId>| mid.is_some_and(is_erased);
                !reply.parts.is_empty()
                    && reply.parts.iter().all(|part| of_part(part.message_id.as_ref()))
            }
            None => messages(event).into_iter().any(is_erased),
        }
    }

    fn has_mid(&self, event: &Event, mid: &MessageId) -> bool {
        let (channel, account) = (event.data.channel, &event.data.account_id);
        self.0.contains_key(&ids::message(channel, account, mid.as_str()))
    }

    /// Takes the words of erased messages out of the outcome of a reply, which may have sent others as well. Whether there were any.
    pub(crate) fn redact(&self, event: &mut Event) -> bool {
        if self.0.is_empty() || reply(&event.data.fact).is_none() {
            return false;
        }
        let of_event = messages(event).into_iter();
        let gone: Vec<MessageId> =
            of_event.filter(|mid| self.has_mid(event, mid)).cloned().collect();
        !gone.is_empty() && event.data.fact.erase_content(|mid| gone.contains(mid))
    }

    /// Whether an event has words of erased messages that `Erased::redact` would take out.
    pub fn has_words(&self, event: &Event) -> bool {
        !self.0.is_empty() && reply(&event.data.fact).is_some() && self.redact(&mut event.clone())
    }

    fn until(&self, channel: Channel, account: &AccountId, person: &str) -> Option<Timestamp> {
        self.0.get(&person_rule(channel, account, person)).copied().flatten()
    }

    /// The id under which an erased person is discovered, or their profile read, once they have come again: the id that it would have had is
    /// withdrawn for good. `None`: it is none of that.
    pub(crate) fn new_id(&self, event: &Event) -> Option<EventId> {
        let of_person =
            matches!(event.data.fact, Fact::ContactDiscovered(_) | Fact::ContactEnriched(_));
        if self.0.is_empty() || !of_person || !self.0.contains_key(&event.id) {
            return None;
        }
        let (channel, account) = (event.data.channel, &event.data.account_id);
        let until = self.until(channel, account, person(event)?)?;
        let key = [event.id.as_str(), &until.as_millis().to_string()];
        (until < event.time).then(|| EventId::derive(channel, account, "after.erasure", &key))
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{ContactDiscovered, Message, MessageDeleted};

    use super::*;

    fn event(person: &str, time: i64, fact: Fact) -> Event {
        Event::new(
            EventId::derive(Channel::Instagram, &"1".into(), "test", &[person, &time.to_string()]),
            Timestamp::from_millis(time),
            Channel::Instagram,
            "1".into(),
            Some(person.into()),
            Origin::of(Via::Webhook),
            fact,
        )
    }

    fn message(person: &str, time: i64, mid: &str) -> Event {
        let body = Message { message_id: mid.into(), ..Message::default() };
        event(person, time, Fact::MessageReceived(body))
    }

    fn rules(withdrawals: &[Draft]) -> Erased {
        let mut erased = Erased::default();
        for one in withdrawals {
            let Fact::FactWithdrawn(body) = &one.event.data.fact else { panic!("a withdrawal") };
            erased.learn(body);
        }
        erased
    }

    #[test]
    fn a_person_is_forgotten_up_to_a_time_and_nobody_else_is() {
        let at = Timestamp::from_millis(10);
        let rule = person_withdrawal(Channel::Instagram, &"1".into(), &"52".into(), at);
        let erased = rules(std::slice::from_ref(&rule));
        assert!(erased.has(&message("52", 10, "m1")));
        assert!(!erased.has(&message("52", 11, "m2")), "they write again");
        assert!(!erased.has(&message("53", 9, "m3")));
        assert!(!erased.has(&rule.event), "the rule itself is published");
    }

    #[test]
    fn of_an_erased_message_stays_that_it_was_removed() {
        let (channel, account) = (Channel::Instagram, AccountId::from("1"));
        let id = ids::message(channel, &account, "m1");
        let erased = rules(&[withdrawal(channel, &account, None, id, Timestamp::EPOCH)]);
        assert!(erased.has(&message("52", 99, "m1")));
        assert!(!erased.has(&message("52", 99, "m2")));
        let gone = MessageDeleted { message_id: "m1".into() };
        assert!(!erased.has(&event("52", 99, Fact::MessageDeleted(gone))));
    }

    fn outcome(parts: &[(&str, Option<&str>)]) -> Event {
        let parts: Vec<serde_json::Value> = parts
            .iter()
            .enumerate()
            .map(|(n, (text, mid))| match mid {
                Some(mid) => {
                    serde_json::json!({"n": n, "text": text, "message_id": mid, "state": "sent"})
                }
                None => serde_json::json!({"n": n, "text": text, "state": "failed"}),
            })
            .collect();
        let body = serde_json::json!({"reply_id": "rpl_1", "text": "all of it", "attempts": 1, "parts": parts});
        event("52", 9, Fact::ReplySent(serde_json::from_value(body).unwrap()))
    }

    #[test]
    fn an_outcome_keeps_what_it_says_of_the_messages_that_are_not_erased() {
        let (channel, account) = (Channel::Instagram, AccountId::from("1"));
        let id = ids::message(channel, &account, "m1");
        let erased = rules(&[withdrawal(channel, &account, None, id, Timestamp::EPOCH)]);
        assert!(erased.has(&outcome(&[("one", Some("m1"))])), "nothing is left of it");
        for others in [("two", Some("m2")), ("two", None)] {
            let mut event = outcome(&[("one", Some("m1")), others]);
            assert!(!erased.has(&event) && erased.has_words(&event), "{others:?}");
            assert!(erased.redact(&mut event));
            assert!(!erased.has_words(&event) && !erased.redact(&mut event), "once is enough");
            let left = serde_json::to_string(&event).unwrap();
            assert!(left.contains("two") && left.contains("m1"), "{left}");
            assert!(!left.contains("one") && !left.contains("all of it"), "{left}");
        }
        assert!(!erased.has_words(&outcome(&[("two", Some("m2"))])));
    }

    #[test]
    fn who_comes_again_is_discovered_again() {
        let fact = |time| {
            let body = ContactDiscovered {
                placeholder: "IG User 52".to_owned(),
                username: None,
                last_interaction_at: None,
            };
            Event { id: "evt_d".into(), ..event("52", time, Fact::ContactDiscovered(body)) }
        };
        let (channel, account) = (Channel::Instagram, AccountId::from("1"));
        let at = Timestamp::from_millis(10);
        let person = person_withdrawal(channel, &account, &"52".into(), at);
        let own = withdrawal(channel, &account, None, "evt_d".into(), at);
        let erased = rules(&[person, own]);
        assert_eq!(erased.new_id(&fact(10)), None);
        let again = erased.new_id(&fact(11)).expect("a new id");
        assert_ne!(again.as_str(), "evt_d");
        assert_eq!(erased.new_id(&fact(12)), Some(again), "one for all that follows");
    }
}
