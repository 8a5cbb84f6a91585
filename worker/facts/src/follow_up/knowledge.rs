//! ◆ Pure: what events say about conversations, accounts and sends, folded so that their order does not matter.

use std::collections::BTreeMap;

use schemas::facts::Referral;
use schemas::{Channel, Event, Fact, Timestamp};

use super::content::{self, Content};

/// A value with the event it came from: the latest by (time, event id) wins.
pub(super) type Latest<T> = Option<(Timestamp, String, T)>;

fn keep<T>(slot: &mut Latest<T>, time: Timestamp, event: &Event, value: T) {
    let newer = slot
        .as_ref()
        .is_none_or(|(known, id, _)| (*known, id.as_str()) < (time, event.id.as_str()));
    if newer {
        *slot = Some((time, event.id.to_string(), value));
    }
}

/// The same of who owns a thread. Reports of one event may differ: whoever got it outside standby is the owner, whichever came first.
fn keep_owner(slot: &mut Latest<bool>, time: Timestamp, event: &Event, other: bool) {
    match slot {
        Some((known, id, owned)) if *known == time && *id == event.id.as_str() => *owned &= other,
        _ => keep(slot, time, event, other),
    }
}

/// What some events say about one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conversation {
    /// The channel, account and contact.
    pub key: Option<(Channel, String, String)>,
    /// The latest act that opens the window.
    pub opened: Latest<()>,
    /// The latest message of the person, with its id.
    pub inbound: Latest<String>,
    /// Whether another app controls the thread.
    pub other_owns: Latest<bool>,
    /// The latest ad that brought the person here.
    pub ad: Latest<Ad>,
}

/// An ad that brought a person here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ad {
    /// Meta's id of it.
    pub id: String,
    /// The `ref` of its link.
    pub reference: Option<String>,
}

/// The ad of a referral, where it names one.
fn keep_ad(slot: &mut Latest<Ad>, time: Timestamp, event: &Event, referral: Option<&Referral>) {
    let Some((id, referral)) = referral.and_then(|one| Some((one.ad_id.clone()?, one))) else {
        return;
    };
    keep(slot, time, event, Ad { id, reference: referral.reference.clone() });
}

/// An outbound message or own comment as Meta reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// The message or comment.
    pub item_id: String,
    /// `message` or `comment`.
    pub kind: &'static str,
    /// The contact; for comments what they stand under.
    pub peer: String,
    /// What it says.
    pub content: Content,
    /// Set by the app that sent it (Messenger).
    pub metadata: Option<String>,
    /// The app that sent it (Messenger).
    pub app_id: Option<String>,
    /// When, by Meta's clock.
    pub time: Timestamp,
}

/// What Meta enforces against an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enforced {
    /// `warning`, `block` or `unblock`.
    pub action: String,
    /// Meta's reason.
    pub reason: Option<String>,
}

/// What some events say about Meta's enforcement against one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// The latest notice, for people.
    pub notice: Latest<Enforced>,
    /// Whether messages are blocked: the latest `block` or `unblock`. A warning in between lifts nothing.
    pub blocked: Latest<bool>,
}

/// Everything some events say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Knowledge {
    /// By conversation id.
    pub conversations: BTreeMap<String, Conversation>,
    /// By channel, account and item.
    pub echoes: BTreeMap<(Channel, String, String), Echo>,
    /// By channel and account.
    pub policies: BTreeMap<(Channel, String), Policy>,
}

impl Knowledge {
    /// Folds events. `now` caps times: an act in the future must not keep a window open for longer.
    pub(super) fn of(events: &[Event], now: Timestamp) -> Self {
        let mut knowledge = Self::default();
        for event in events {
            knowledge.add(event, event.time.min(now));
        }
        knowledge
    }

    /// Nothing worth a statement.
    pub(super) fn is_empty(&self) -> bool {
        self.conversations.is_empty() && self.echoes.is_empty() && self.policies.is_empty()
    }

    fn add(&mut self, event: &Event, time: Timestamp) {
        let data = &event.data;
        match &data.fact {
            // Messages and postbacks open the window; nothing else does (docs/meta-platform.md 11, the safe rule).
            Fact::MessageReceived(message) if !data.is_self => {
                let Some(conversation) = self.conversation(event) else { return };
                // Placed by its thread alone, it may as well be the account's own: nobody knows who wrote (docs/contract.md 5).
                if message.sender_resolution.as_ref().is_some_and(|by| by.method == "thread_id") {
                    return;
                }
                keep(&mut conversation.opened, time, event, ());
                keep(&mut conversation.inbound, time, event, message.message_id.to_string());
                keep_owner(&mut conversation.other_owns, time, event, data.standby);
                keep_ad(&mut conversation.ad, time, event, message.referral.as_ref());
            }
            Fact::PostbackReceived(postback) if !data.is_self => {
                let Some(conversation) = self.conversation(event) else { return };
                keep(&mut conversation.opened, time, event, ());
                keep_owner(&mut conversation.other_owns, time, event, data.standby);
                keep_ad(&mut conversation.ad, time, event, postback.referral.as_ref());
            }
            Fact::ReferralReceived(body) if !data.is_self && body.referral.ad_id.is_some() => {
                let Some(conversation) = self.conversation(event) else { return };
                keep_ad(&mut conversation.ad, time, event, Some(&body.referral));
            }
            // `take` names the app that lost the thread, `pass` the one that got it (docs/meta-platform.md 7.1).
            Fact::ThreadControlChanged(control) => {
                let other = match control.action.as_str() {
                    "take" => true,
                    "pass" => data.standby,
                    _ => return,
                };
                if let Some(conversation) = self.conversation(event) {
                    keep_owner(&mut conversation.other_owns, time, event, other);
                }
            }
            Fact::MessageSent(message) if !data.is_self => {
                let Some(contact) = &data.contact_id else { return };
                self.echo(Echo {
                    channel: data.channel,
                    account_id: data.account_id.to_string(),
                    item_id: message.message_id.to_string(),
                    kind: "message",
                    peer: contact.to_string(),
                    content: content::of_message(message.text.as_deref(), &message.attachments),
                    metadata: message.metadata.clone(),
                    app_id: message.app_id.clone(),
                    time: event.time,
                });
            }
            Fact::CommentCreated(comment) if comment.author.is_self == Some(true) => {
                let under = comment
                    .parent_id
                    .as_ref()
                    .or(comment.media_id.as_ref())
                    .or(comment.post_id.as_ref());
                self.echo(Echo {
                    channel: data.channel,
                    account_id: data.account_id.to_string(),
                    item_id: comment.comment_id.clone(),
                    kind: "comment",
                    peer: under.cloned().unwrap_or_default(),
                    content: content::of_text(comment.text.as_deref().unwrap_or_default()),
                    metadata: None,
                    app_id: None,
                    time: event.time,
                });
            }
            Fact::AccountPolicyEnforced(policy) => {
                let known =
                    self.policies.entry((data.channel, data.account_id.to_string())).or_default();
                let (action, reason) = (policy.action.clone(), policy.reason.clone());
                match action.as_str() {
                    "block" => keep(&mut known.blocked, time, event, true),
                    "unblock" => keep(&mut known.blocked, time, event, false),
                    _ => {}
                }
                keep(&mut known.notice, time, event, Enforced { action, reason });
            }
            _ => {}
        }
    }

    fn conversation(&mut self, event: &Event) -> Option<&mut Conversation> {
        let data = &event.data;
        let (id, contact) = (data.conversation_id.as_ref()?, data.contact_id.as_ref()?);
        let conversation = self.conversations.entry(id.to_string()).or_default();
        conversation.key = Some((data.channel, data.account_id.to_string(), contact.to_string()));
        Some(conversation)
    }

    fn echo(&mut self, echo: Echo) {
        self.echoes
            .entry((echo.channel, echo.account_id.clone(), echo.item_id.clone()))
            .or_insert(echo);
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{Message, PolicyEnforced, ThreadControl};
    use schemas::{EventId, Via};

    use super::*;

    fn event(id: &str, time: i64, fact: Fact) -> Event {
        Event::new(
            EventId::from(id),
            Timestamp::from_millis(time),
            Channel::Messenger,
            "1".into(),
            Some("5200000000000011".into()),
            Origin::of(Via::Webhook),
            fact,
        )
    }

    fn message(mid: &str) -> Message {
        Message { message_id: mid.into(), text: Some("hi".to_owned()), ..Message::default() }
    }

    fn one(knowledge: &Knowledge) -> &Conversation {
        knowledge.conversations.values().next().unwrap()
    }

    #[test]
    fn the_order_of_events_does_not_matter() {
        let mut standby = event("c", 30, Fact::MessageReceived(message("m3")));
        standby.data.standby = true;
        let events = vec![
            event("a", 10, Fact::MessageReceived(message("m1"))),
            event("b", 20, Fact::PostbackReceived(schemas::facts::Postback::default())),
            standby,
            event(
                "d",
                40,
                Fact::ThreadControlChanged(ThreadControl {
                    action: "pass".into(),
                    ..ThreadControl::default()
                }),
            ),
            event(
                "e",
                50,
                Fact::AccountPolicyEnforced(PolicyEnforced {
                    action: "block".into(),
                    reason: None,
                }),
            ),
            event("f", 60, Fact::MessageSent(message("m4"))),
        ];
        let now = Timestamp::from_millis(1_000);
        let expected = Knowledge::of(&events, now);
        for turn in 0..events.len() {
            let mut turned = events.clone();
            turned.rotate_left(turn);
            turned.extend(events.clone());
            assert_eq!(Knowledge::of(&turned, now), expected);
        }
        let conversation = one(&expected);
        assert_eq!(conversation.opened.as_ref().map(|(time, ..)| time.as_millis()), Some(30));
        assert_eq!(conversation.other_owns.as_ref().map(|(.., other)| *other), Some(false));
        assert_eq!(expected.echoes.len(), 1);
        assert_eq!(expected.policies.len(), 1);
    }

    #[test]
    fn a_message_that_came_outside_standby_too_is_ours_in_both_orders() {
        let ours = event("a", 10, Fact::MessageReceived(message("m1")));
        let mut copy = ours.clone();
        copy.data.standby = true;
        let owned = |events: &[Event]| {
            let knowledge = Knowledge::of(events, Timestamp::from_millis(1_000));
            one(&knowledge).other_owns.as_ref().map(|(.., other)| *other)
        };
        assert_eq!(owned(&[ours.clone(), copy.clone()]), Some(false));
        assert_eq!(owned(&[copy.clone(), ours]), Some(false));
        assert_eq!(owned(&[copy.clone(), copy]), Some(true));
    }

    #[test]
    fn a_warning_does_not_lift_a_block_in_whatever_order_they_come() {
        let notice = |id: &str, time: i64, action: &str| {
            let fact = PolicyEnforced { action: action.into(), reason: None };
            event(id, time, Fact::AccountPolicyEnforced(fact))
        };
        let blocked = |events: &[Event]| {
            let knowledge = Knowledge::of(events, Timestamp::from_millis(1_000));
            let policy = knowledge.policies.values().next().unwrap().clone();
            (policy.notice.unwrap().2.action, policy.blocked.map(|(.., blocked)| blocked))
        };
        let notices = [notice("a", 10, "block"), notice("b", 20, "warning")];
        assert_eq!(blocked(&notices), ("warning".to_owned(), Some(true)));
        let [first, second] = notices.clone();
        assert_eq!(blocked(&[second, first]), ("warning".to_owned(), Some(true)));
        assert_eq!(blocked(&notices[1..]), ("warning".to_owned(), None));
        let [block, warning] = notices;
        let lifted = [notice("c", 30, "unblock"), block, warning];
        assert_eq!(blocked(&lifted), ("unblock".to_owned(), Some(false)));
    }

    #[test]
    fn own_acts_edits_and_receipts_open_nothing() {
        let events = vec![
            event("a", 10, Fact::MessageSent(message("m1"))),
            event("b", 20, Fact::MessageRead(schemas::facts::Receipt::default())),
        ];
        assert!(Knowledge::of(&events, Timestamp::from_millis(1_000)).conversations.is_empty());
    }

    #[test]
    fn a_time_in_the_future_is_capped() {
        let knowledge = Knowledge::of(
            &[event("a", 5_000, Fact::MessageReceived(message("m1")))],
            Timestamp::from_millis(1_000),
        );
        assert_eq!(one(&knowledge).opened.as_ref().map(|(time, ..)| time.as_millis()), Some(1_000));
    }

    #[test]
    fn taking_a_thread_means_another_app_owns_it() {
        let take = ThreadControl { action: "take".into(), ..ThreadControl::default() };
        let request = ThreadControl { action: "request".into(), ..ThreadControl::default() };
        let events = vec![
            event("a", 10, Fact::ThreadControlChanged(take)),
            event("b", 20, Fact::ThreadControlChanged(request)),
        ];
        let knowledge = Knowledge::of(&events, Timestamp::from_millis(1_000));
        assert_eq!(one(&knowledge).other_owns.as_ref().map(|(.., other)| *other), Some(true));
    }
}
