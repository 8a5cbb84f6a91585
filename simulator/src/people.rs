//! People who write: every method is one act, reported to the webhook as Meta would.

mod acts;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::act::Act;
use crate::json::Node;
use crate::model::{AccountKey, Login, Lookup, Message, ProfileAnswer, Side};
use crate::outbox::Tracked;
use crate::payload::{Envelope, Item, Parties};
use crate::shared::Shared;

/// How Meta reports a new message (docs/meta-platform.md 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Telling {
    /// By the rates of the policy, else plainly.
    #[default]
    ByRate,
    /// One `message`.
    Plain,
    /// A `message` and a `message_edit` with `num_edit` 0 for the same mid.
    Companion {
        /// The edit names sender and recipient.
        sender: bool,
        /// The edit comes before the message.
        first: bool,
        /// Both come in one body.
        together: bool,
    },
    /// Only the `message_edit` with `num_edit` 0.
    OnlyHint {
        /// It names sender and recipient.
        sender: bool,
    },
    /// Nothing: the message exists, Graph knows it, no webhook says so.
    Silent,
}

/// A person as one account knows them. Cheap to clone; the methods in the first block change how the next acts happen
/// or are reported and leave the original as it was: `ann.ago(TimeDelta::hours(25)).says("hi")`.
#[derive(Clone)]
pub struct Person {
    shared: Arc<Shared>,
    account: AccountKey,
    login: Login,
    id: String,
    moved: Option<Moved>,
    telling: Telling,
    envelope: Envelope,
    held: bool,
    lookup: Lookup,
    listed: bool,
}

#[derive(Clone, Copy)]
enum Moved {
    Ago(TimeDelta),
    At(DateTime<Utc>),
}

impl Person {
    pub(crate) fn new(
        shared: Arc<Shared>,
        account: AccountKey,
        login: Login,
        id: String,
    ) -> Person {
        Person {
            shared,
            account,
            login,
            id,
            moved: None,
            telling: Telling::ByRate,
            envelope: Envelope::Messaging,
            held: false,
            lookup: Lookup::Ok,
            listed: true,
        }
    }

    /// Acts happen this long before now.
    pub fn ago(&self, ago: TimeDelta) -> Person {
        Person { moved: Some(Moved::Ago(ago)), ..self.clone() }
    }

    /// Acts happen at this time.
    pub fn at(&self, at: DateTime<Utc>) -> Person {
        Person { moved: Some(Moved::At(at)), ..self.clone() }
    }

    pub(crate) const fn telling(&self) -> &Telling {
        &self.telling
    }

    /// New messages are reported like this.
    pub fn reported(&self, telling: Telling) -> Person {
        Person { telling, ..self.clone() }
    }

    /// New messages are reported by a `message_edit` without sender only.
    pub fn senderless(&self) -> Person {
        self.reported(Telling::OnlyHint { sender: false })
    }

    /// Items stand in this part of their entry.
    pub fn in_envelope(&self, envelope: Envelope) -> Person {
        Person { envelope, ..self.clone() }
    }

    /// Acts happen but are not reported before [`Act::release`] or [`crate::SimulatorHandle::deliver_together`].
    pub fn held(&self) -> Person {
        Person { held: true, ..self.clone() }
    }

    /// Graph answers a look-up of the next messages like this.
    pub fn looked_up(&self, lookup: Lookup) -> Person {
        Person { lookup, ..self.clone() }
    }

    /// Conversation listings do not show the next messages.
    pub fn unlisted(&self) -> Person {
        Person { listed: false, ..self.clone() }
    }

    /// IGSID or PSID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The account that knows this person.
    pub fn account_id(&self) -> &str {
        &self.account.id
    }

    /// Full name.
    pub fn name(&self) -> String {
        self.shared.world().people.get(&self.id).map(|p| p.name.clone()).unwrap_or_default()
    }

    /// Profile reads are answered like this from now on.
    pub fn set_profile(&self, profile: ProfileAnswer) {
        self.change(|person| person.profile = profile);
    }

    /// The person goes by another name from now on.
    pub fn renames(&self, name: &str) {
        self.change(|person| person.name = name.to_owned());
    }

    /// The person is no participant of the thread any more; listings go on showing it.
    pub fn leaves(&self) {
        self.change(|person| person.gone = true);
    }

    /// The person blocks the account: sends end in 551/1545041.
    pub fn blocks(&self, blocks: bool) {
        self.change(|person| person.blocks = blocks);
    }

    /// Another app takes the thread (or gives it back): sends end in 100/2534037, messages come as standby.
    pub fn thread_elsewhere(&self, elsewhere: bool) {
        self.change(|person| person.thread_elsewhere = elsewhere);
    }

    fn change(&self, change: impl FnOnce(&mut crate::model::Person)) {
        if let Some(person) = self.shared.world().people.get_mut(&self.id) {
            change(person);
        }
    }

    pub(crate) fn act(
        &self,
        mid: Option<String>,
        comment: Option<String>,
        groups: Vec<Vec<Arc<Tracked>>>,
    ) -> Act {
        let act = Act { shared: self.shared.clone(), mid, comment, groups };
        if !self.held {
            act.release();
        }
        act
    }

    fn item(&self, field: &'static str, node: Node) -> Arc<Tracked> {
        let elsewhere = {
            let world = self.shared.world();
            world.people.get(&self.id).is_some_and(|person| person.thread_elsewhere)
        };
        let envelope = match self.envelope {
            Envelope::Messaging if elsewhere => Envelope::Standby,
            other => other,
        };
        self.tracked(field, envelope, self.id.clone(), node)
    }

    pub(crate) fn tracked(
        &self,
        field: &'static str,
        envelope: Envelope,
        order: String,
        node: Node,
    ) -> Arc<Tracked> {
        let order = format!("{}/{order}", self.account.id);
        let item = Item { account: self.account.clone(), order, envelope, field, node };
        Tracked::new(item, self.login)
    }

    fn parties(&self, at: DateTime<Utc>) -> Parties<'_> {
        Parties { sender: &self.id, recipient: &self.account.id, at }
    }

    pub(crate) fn time(&self) -> DateTime<Utc> {
        match self.moved {
            None => self.shared.now(),
            Some(Moved::Ago(ago)) => self.shared.now() - ago,
            Some(Moved::At(at)) => at,
        }
    }

    /// The whole thread as this person sees it, oldest first, unsent messages included (marked).
    pub fn sees(&self) -> Vec<Message> {
        self.shared.world().thread(&self.id).into_iter().cloned().collect()
    }

    /// What the account sent this person, oldest first: what tests count.
    pub fn received(&self) -> Vec<Message> {
        self.sees().into_iter().filter(|message| message.from == Side::Account).collect()
    }

    /// The texts among [`Person::received`].
    pub fn texts_received(&self) -> Vec<String> {
        self.received().into_iter().filter_map(|message| message.text).collect()
    }

    /// Graph's id of this person's conversation.
    pub fn conversation_id(&self) -> String {
        let world = self.shared.world();
        world.people.get(&self.id).map(|person| world.conversation_id(person)).unwrap_or_default()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn account(&self) -> &AccountKey {
        &self.account
    }

    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope
    }
}
