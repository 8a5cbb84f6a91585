//! People who write: every method is one act, told to the webhook as Meta would.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::act::Act;
use crate::json::Node;
use crate::model::{AccountKey, Login, Lookup, Message, ProfileAnswer, Side};
use crate::outbox::Tracked;
use crate::payload::{self, Content, Envelope, Item, Parties};
use crate::shared::Shared;

/// How Meta tells of a new message (meta-platform.md 5.1).
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
/// or are told and leave the original as it was: `ann.ago(TimeDelta::hours(25)).says("hi")`.
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

    /// New messages are told like this.
    pub fn told(&self, telling: Telling) -> Person {
        Person { telling, ..self.clone() }
    }

    /// New messages are told by a `message_edit` without sender only.
    pub fn senderless(&self) -> Person {
        self.told(Telling::OnlyHint { sender: false })
    }

    /// Items stand in this part of their entry.
    pub fn in_envelope(&self, envelope: Envelope) -> Person {
        Person { envelope, ..self.clone() }
    }

    /// Acts happen but are not told before [`Act::release`] or [`crate::SimulatorHandle::deliver_together`].
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

    /// Writes a text (emoji welcome).
    pub fn says(&self, text: &str) -> Act {
        self.sends(Content { text: Some(text.to_owned()), ..Content::default() })
    }

    /// Sends one attachment by URL: `image`, `video`, `audio`, `file`, `share`, ….
    pub fn sends_attachment(&self, kind: &str, url: &str) -> Act {
        let attachment = json!({"type": kind, "payload": {"url": url}});
        self.sends(Content { attachments: vec![attachment], ..Content::default() })
    }

    /// Answers a message with a text that quotes it.
    pub fn answers(&self, quoted: impl AsRef<str>, text: &str) -> Act {
        let reply_to = Some(quoted.as_ref().to_owned());
        self.sends(Content { text: Some(text.to_owned()), reply_to, ..Content::default() })
    }

    /// Taps a quick reply.
    pub fn taps_quick_reply(&self, title: &str, payload: &str) -> Act {
        let quick_reply = Some(payload.to_owned());
        self.sends(Content { text: Some(title.to_owned()), quick_reply, ..Content::default() })
    }

    /// Writes after a click on an ad.
    pub fn says_from_ad(&self, text: &str, ad_id: &str, reference: &str) -> Act {
        let referral =
            json!({"ref": reference, "ad_id": ad_id, "source": "ADS", "type": "OPEN_THREAD"});
        let extra = vec![("referral".to_owned(), referral)];
        self.sends(Content { text: Some(text.to_owned()), extra, ..Content::default() })
    }

    /// Sends something the API cannot show.
    pub fn sends_unsupported(&self) -> Act {
        let extra = vec![("is_unsupported".to_owned(), Value::Bool(true))];
        self.sends(Content { extra, ..Content::default() })
    }

    /// Sends any message.
    pub fn sends(&self, content: Content) -> Act {
        let (mid, at) = self.write(|_, message| {
            message.text.clone_from(&content.text);
            message.attachments.clone_from(&content.attachments);
            message.reply_to.clone_from(&content.reply_to);
        });
        let groups = self.message_groups(&mid, at, &content);
        self.act(Some(mid), None, groups)
    }

    /// Creates the message at Meta and opens the window.
    fn write(
        &self,
        fill: impl FnOnce(&mut crate::world::World, &mut Message),
    ) -> (String, DateTime<Utc>) {
        let mut world = self.shared.world();
        let at = world.next_time(&self.id, self.time(), self.moved.is_some());
        let Some(person) = world.people.get_mut(&self.id) else {
            return (String::new(), at);
        };
        person.window_opened = Some(person.window_opened.map_or(at, |opened| opened.max(at)));
        let person = person.clone();
        let mid = world.mint_mid(&person, at);
        let mut message = world.blank(&mid, &person, Side::Person, at);
        message.lookup = self.lookup;
        message.listed = self.listed;
        fill(&mut world, &mut message);
        world.insert_message(message);
        (mid, at)
    }

    fn message_groups(
        &self,
        mid: &str,
        at: DateTime<Utc>,
        content: &Content,
    ) -> Vec<Vec<Arc<Tracked>>> {
        let parties = self.parties(at);
        let plain = || self.item("messages", payload::message(parties, mid, content));
        let hint = |sender| self.item("message_edit", payload::hint(parties, mid, sender));
        match self.chosen_telling() {
            Telling::ByRate | Telling::Plain => vec![vec![plain()]],
            Telling::OnlyHint { sender } => vec![vec![hint(sender)]],
            Telling::Silent => Vec::new(),
            Telling::Companion { sender, first, together } => {
                let mut pair = vec![plain(), hint(sender)];
                if first {
                    pair.reverse();
                }
                if together { vec![pair] } else { pair.into_iter().map(|one| vec![one]).collect() }
            }
        }
    }

    fn chosen_telling(&self) -> Telling {
        if self.telling != Telling::ByRate {
            return self.telling;
        }
        let policy = self.shared.policy();
        if self.shared.chance(policy.senderless_rate) {
            Telling::OnlyHint { sender: false }
        } else if self.shared.chance(policy.companion_rate) {
            Telling::Companion {
                sender: self.shared.chance(0.5),
                first: self.shared.chance(0.5),
                together: self.shared.chance(0.5),
            }
        } else {
            Telling::Plain
        }
    }

    /// Edits a message; one that Meta does not know is edited all the same.
    pub fn edits(&self, message: impl AsRef<str>, text: &str) -> Act {
        let mid = message.as_ref();
        let mut number = 1;
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.edits += 1;
            message.text = Some(text.to_owned());
            number = message.edits;
        }
        let node = payload::edit(self.parties(self.time()), mid, text, number);
        self.tells(mid, self.item("message_edit", node))
    }

    /// Unsends a message.
    pub fn unsends(&self, message: impl AsRef<str>) -> Act {
        let mid = message.as_ref();
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.deleted = true;
            message.text = None;
            message.attachments.clear();
        }
        let node = payload::deleted(self.parties(self.time()), mid);
        self.tells(mid, self.item("messages", node))
    }

    /// Reacts with an emoji.
    pub fn reacts(&self, message: impl AsRef<str>, emoji: &str) -> Act {
        let mid = message.as_ref();
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.reactions.insert(self.id.clone(), emoji.to_owned());
        }
        let given = Some((reaction_name(emoji), emoji));
        let node = payload::reaction(self.parties(self.time()), mid, given);
        self.tells(mid, self.item("message_reactions", node))
    }

    /// Takes the reaction back.
    pub fn unreacts(&self, message: impl AsRef<str>) -> Act {
        let mid = message.as_ref();
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.reactions.remove(&self.id);
        }
        let node = payload::reaction(self.parties(self.time()), mid, None);
        self.tells(mid, self.item("message_reactions", node))
    }

    /// Reads a message of the account (Messenger: everything up to it).
    pub fn reads(&self, message: impl AsRef<str>) -> Act {
        let mid = message.as_ref();
        let at = self.time();
        let watermark = self.shared.world().messages.get(mid).map_or(at, |message| message.at);
        let node = payload::read(self.parties(at), self.account.channel, mid, watermark);
        self.tells(mid, self.item("messaging_seen", node))
    }

    /// Taps a button, menu entry or ice breaker.
    pub fn taps(&self, title: &str, payload_text: &str) -> Act {
        let (mid, at) = self.write(|_, message| message.text = Some(title.to_owned()));
        let node = payload::postback(self.parties(at), &mid, title, payload_text);
        self.tells(&mid, self.item("messaging_postbacks", node))
    }

    /// Opens a link of the account in the thread.
    pub fn follows_link(&self, reference: &str) -> Act {
        let parties = self.parties(self.time());
        let node = payload::referral(parties, self.account.channel, reference);
        self.act(None, None, vec![vec![self.item("messaging_referral", node)]])
    }

    /// Any messaging item of this person: `payload` is put beside sender, recipient and timestamp.
    pub fn does(&self, key: &str, payload: Value) -> Act {
        let parties = self.parties(self.time());
        let head = crate::json::object([
            ("sender", crate::json::object([("id", parties.sender.into())])),
            ("recipient", crate::json::object([("id", parties.recipient.into())])),
            ("timestamp", parties.at.timestamp_millis().into()),
        ]);
        self.act(None, None, vec![vec![self.item("messages", head.with(key, payload))]])
    }

    fn tells(&self, mid: &str, item: Arc<Tracked>) -> Act {
        self.act(Some(mid.to_owned()), None, vec![vec![item]])
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

/// Meta's name for an emoji (meta-platform.md 6.1, 7.1).
fn reaction_name(emoji: &str) -> &'static str {
    match emoji {
        "❤" | "❤️" => "love",
        "👍" => "like",
        "😂" | "😆" => "laugh",
        "😮" => "wow",
        "😢" => "sad",
        "😠" | "😡" => "angry",
        _ => "other",
    }
}
