//! ◆ Pure: the state of the simulated Meta. Every change takes the time it happens at; nothing here waits or sends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::calls::CallLog;
use crate::error::Invalid;
use crate::faults::FaultPlan;
use crate::ids;
use crate::model::{
    Account, AccountKey, AccountSpec, Channel, Comment, Login, Lookup, Message, Person,
    ProfileAnswer, Side,
};

/// Fields an account is subscribed to unless somebody changes it (docs/meta-platform.md 3.3).
pub(crate) const INSTAGRAM_FIELDS: [&str; 12] = [
    "messages",
    "message_edit",
    "message_reactions",
    "messaging_postbacks",
    "messaging_seen",
    "messaging_referral",
    "messaging_optins",
    "messaging_handover",
    "standby",
    "comments",
    "live_comments",
    "mentions",
];
/// The same for Pages.
pub(crate) const PAGE_FIELDS: [&str; 19] = [
    "messages",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_reactions",
    "message_edits",
    "messaging_postbacks",
    "messaging_referrals",
    "messaging_optins",
    "messaging_account_linking",
    "messaging_handovers",
    "messaging_policy_enforcement",
    "messaging_feedback",
    "response_feedback",
    "send_cart",
    "standby",
    "feed",
    "mention",
    "message_template_status_update",
];

/// A person to simulate.
#[derive(Clone, Debug, Default)]
pub struct PersonSpec {
    /// Full name.
    pub name: String,
    /// Handle; made from the name when absent.
    pub username: Option<String>,
    /// IGSID or PSID; derived from seed, account and name when absent.
    pub id: Option<String>,
    /// What a profile read says.
    pub profile: ProfileAnswer,
}

impl PersonSpec {
    /// A person with this name, everything else made up.
    pub fn named(name: &str) -> PersonSpec {
        PersonSpec { name: name.to_owned(), ..PersonSpec::default() }
    }

    /// Whose profile reads are answered like this.
    pub fn profile(self, profile: ProfileAnswer) -> PersonSpec {
        PersonSpec { profile, ..self }
    }

    /// With this IGSID or PSID.
    pub fn id(self, id: &str) -> PersonSpec {
        PersonSpec { id: Some(id.to_owned()), ..self }
    }
}

/// A media (Instagram) or post (Page) that can be commented on.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Media {
    /// Its id; on Pages `{page}_{post}`.
    pub id: String,
    #[serde(skip)]
    pub(crate) account: AccountKey,
    /// Caption or text.
    pub caption: String,
    /// When it was put up.
    pub at: DateTime<Utc>,
}

/// Everything Meta knows.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) messages: HashMap<String, Message>,
    /// Mids of a person's thread, oldest first.
    pub(crate) threads: BTreeMap<String, Vec<String>>,
    pub(crate) comments: BTreeMap<String, Comment>,
    pub(crate) media: BTreeMap<String, Media>,
    pub(crate) faults: FaultPlan,
    pub(crate) calls: CallLog,
    pub(crate) fault_random: StdRng,
    minted: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World {
            seed,
            accounts: BTreeMap::new(),
            people: BTreeMap::new(),
            messages: HashMap::new(),
            threads: BTreeMap::new(),
            comments: BTreeMap::new(),
            media: BTreeMap::new(),
            faults: FaultPlan::default(),
            calls: CallLog::default(),
            fault_random: StdRng::seed_from_u64(seed ^ 0xFA17),
            minted: 0,
        }
    }

    /// A number nobody got before.
    fn mint(&mut self) -> String {
        self.minted += 1;
        self.minted.to_string()
    }

    pub(crate) fn add_account(&mut self, spec: AccountSpec) -> Result<AccountKey, Invalid> {
        let required = [
            ("id", &spec.id),
            ("name", &spec.name),
            ("username", &spec.username),
            ("token", &spec.token),
        ];
        for (field, value) in required {
            if value.trim().is_empty() {
                return Err(Invalid::new(field, "must not be empty"));
            }
        }
        if spec.channel == Channel::Messenger && spec.login == Login::Instagram {
            return Err(Invalid::new("login", "a Messenger page is connected by `facebook`"));
        }
        let key = AccountKey { channel: spec.channel, id: spec.id.clone() };
        if self.accounts.contains_key(&key) {
            return Err(Invalid::new("id", format!("account `{}` is there already", spec.id)));
        }
        let fields: &[&str] = match spec.channel {
            Channel::Instagram => &INSTAGRAM_FIELDS,
            Channel::Messenger => &PAGE_FIELDS,
        };
        let account = Account {
            tokens: BTreeSet::from([spec.token.clone()]),
            expired: BTreeSet::new(),
            subscribed: fields.iter().map(|field| (*field).to_owned()).collect(),
            usage: None,
            spec,
        };
        self.accounts.insert(key.clone(), account);
        Ok(key)
    }

    /// The account with this `entry.id`, page id or alias.
    pub(crate) fn account_by_id(&self, id: &str) -> Option<&AccountKey> {
        let exact = self.accounts.keys().find(|key| key.id == id);
        exact.or_else(|| {
            let mut accounts = self.accounts.iter();
            let also = accounts.find(|(_, account)| {
                let spec = &account.spec;
                spec.alias.as_deref() == Some(id) || spec.page_id.as_deref() == Some(id)
            });
            also.map(|(key, _)| key)
        })
    }

    pub(crate) fn spec(&self, key: &AccountKey) -> Option<&AccountSpec> {
        self.accounts.get(key).map(|account| &account.spec)
    }

    /// The person of this account with this name, who comes into being when nobody has it.
    pub(crate) fn person_named(&mut self, account: &AccountKey, name: &str) -> String {
        let known = self
            .people
            .values()
            .find(|person| person.account == *account && person.name == name)
            .map(|person| person.id.clone());
        known.unwrap_or_else(|| self.insert_person(account, PersonSpec::named(name)))
    }

    pub(crate) fn add_person(
        &mut self,
        account: &AccountKey,
        spec: PersonSpec,
    ) -> Result<String, Invalid> {
        if spec.name.trim().is_empty() {
            return Err(Invalid::new("name", "must not be empty"));
        }
        let taken = |person: &&Person| {
            Some(&person.id) == spec.id.as_ref()
                || (person.account == *account && person.name == spec.name)
        };
        if let Some(person) = self.people.values().find(taken) {
            let field = if Some(&person.id) == spec.id.as_ref() { "id" } else { "name" };
            return Err(Invalid::new(field, "belongs to another person already"));
        }
        Ok(self.insert_person(account, spec))
    }

    fn insert_person(&mut self, account: &AccountKey, spec: PersonSpec) -> String {
        let (lead, length) = match account.channel {
            Channel::Instagram => ("52", 14),
            Channel::Messenger => ("73", 14),
        };
        let id = spec.id.unwrap_or_else(|| {
            let rest = ids::digits(self.seed, &["person", &account.id, &spec.name], length);
            format!("{lead}{rest}")
        });
        let username = spec.username.unwrap_or_else(|| {
            let plain = spec.name.to_lowercase();
            plain.split_whitespace().collect::<Vec<_>>().join(".")
        });
        let person = Person {
            id: id.clone(),
            account: account.clone(),
            name: spec.name,
            username,
            profile: spec.profile,
            blocks: false,
            thread_elsewhere: false,
            window_opened: None,
        };
        self.people.insert(id.clone(), person);
        id
    }

    /// Graph's id of the thread between a person and their account.
    pub(crate) fn conversation_id(&self, person: &Person) -> String {
        let account = &person.account;
        match account.channel {
            Channel::Instagram => {
                let thread = ids::instagram_thread(self.seed, &account.id, &person.id);
                ids::instagram_conversation_id(&account.id, &thread)
            }
            Channel::Messenger => ids::messenger_thread(self.seed, &account.id, &person.id),
        }
    }

    /// When a new message of this thread happens: `at`, or 1 ms after the newest one, so that order is never in doubt.
    pub(crate) fn next_time(&self, person: &str, at: DateTime<Utc>, moved: bool) -> DateTime<Utc> {
        let at = DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at);
        if moved {
            return at;
        }
        let newest = self.newest(person).map(|message| message.at + TimeDelta::milliseconds(1));
        newest.map_or(at, |newest| newest.max(at))
    }

    pub(crate) fn newest(&self, person: &str) -> Option<&Message> {
        let mids = self.threads.get(person)?;
        mids.iter().filter_map(|mid| self.messages.get(mid)).max_by_key(|message| message.at)
    }

    /// A new message id of the thread with `person`.
    pub(crate) fn mint_mid(&mut self, person: &Person, at: DateTime<Utc>) -> String {
        let number = self.mint();
        let noise = ids::digits(self.seed, &["noise", &number], 18).parse().unwrap_or(0);
        let created_us = u64::try_from(at.timestamp_micros()).unwrap_or(0);
        let account = &person.account.id;
        match person.account.channel {
            Channel::Instagram => {
                let thread = ids::instagram_thread(self.seed, account, &person.id);
                ids::InstagramMid::new(account, &thread, created_us, noise).encode()
            }
            Channel::Messenger => {
                ids::messenger_mid(self.seed, account, &person.id, created_us, noise)
            }
        }
    }

    /// Puts a message into its thread.
    pub(crate) fn insert_message(&mut self, message: Message) {
        let mids = self.threads.entry(message.person.clone()).or_default();
        mids.push(message.mid.clone());
        self.messages.insert(message.mid.clone(), message);
    }

    /// The messages of a thread, oldest first.
    pub(crate) fn thread(&self, person: &str) -> Vec<&Message> {
        let mids = self.threads.get(person).map(Vec::as_slice).unwrap_or_default();
        let mut messages: Vec<&Message> =
            mids.iter().filter_map(|mid| self.messages.get(mid)).collect();
        messages.sort_by_key(|message| message.at);
        messages
    }

    pub(crate) fn add_media(
        &mut self,
        account: &AccountKey,
        caption: &str,
        at: DateTime<Utc>,
    ) -> String {
        let known =
            self.media.values().find(|media| media.account == *account && media.caption == caption);
        if let Some(media) = known {
            return media.id.clone();
        }
        let rest = ids::digits(self.seed, &["media", &account.id, caption], 14);
        let id = match account.channel {
            Channel::Instagram => format!("180{rest}"),
            Channel::Messenger => format!("{}_55{rest}", account.id),
        };
        let media =
            Media { id: id.clone(), account: account.clone(), caption: caption.to_owned(), at };
        self.media.insert(id.clone(), media);
        id
    }

    /// A new comment under `media`, by a person or (none) by the account.
    pub(crate) fn add_comment(
        &mut self,
        account: &AccountKey,
        media: &str,
        parent: Option<&str>,
        person: Option<&str>,
        text: &str,
        at: DateTime<Utc>,
    ) -> Comment {
        let number = self.mint();
        let time = at.timestamp_micros().to_string();
        let rest = ids::digits(self.seed, &["comment", &account.id, &number, &time], 14);
        let id = match account.channel {
            Channel::Instagram => format!("179{rest}"),
            // `{post}_{comment}` carries the short id of the post (fixtures: fb-feed-comment-add).
            Channel::Messenger => {
                format!("{}_66{rest}", media.rsplit('_').next().unwrap_or(media))
            }
        };
        let comment = Comment {
            id: id.clone(),
            account: account.clone(),
            media: media.to_owned(),
            parent: parent.map(str::to_owned),
            person: person.map(str::to_owned),
            text: text.to_owned(),
            at,
            hidden: false,
            deleted: false,
            private_reply: None,
        };
        self.comments.insert(id, comment.clone());
        comment
    }

    /// Id and name (handle on Instagram) of who wrote a comment.
    pub(crate) fn author(&self, comment: &Comment) -> (String, String) {
        let by_person = comment.person.as_deref().and_then(|id| self.people.get(id));
        let of_account = self.spec(&comment.account);
        match (by_person, of_account) {
            (Some(person), _) => {
                let name = match comment.account.channel {
                    Channel::Instagram => &person.username,
                    Channel::Messenger => &person.name,
                };
                (person.id.clone(), name.clone())
            }
            (None, Some(spec)) => {
                let (id, name) = crate::payload::own_author(spec);
                (id.to_owned(), name.to_owned())
            }
            (None, None) => (comment.account.id.clone(), String::new()),
        }
    }

    /// The scoped id under which an Instagram account sees itself (`self_ig_scoped_id`).
    pub(crate) fn own_scoped_id(&self, account: &AccountKey) -> String {
        format!("52{}", ids::digits(self.seed, &["self", &account.id], 14))
    }

    /// A message of one side, with nothing but the basics set.
    pub(crate) fn blank(
        &self,
        mid: &str,
        person: &Person,
        from: Side,
        at: DateTime<Utc>,
    ) -> Message {
        Message {
            mid: mid.to_owned(),
            account: person.account.clone(),
            person: person.id.clone(),
            from,
            text: None,
            attachments: Vec::new(),
            reply_to: None,
            private_reply_to: None,
            metadata: None,
            tag: None,
            sent: Value::Null,
            at,
            edits: 0,
            deleted: false,
            reactions: BTreeMap::new(),
            lookup: Lookup::Ok,
            listed: true,
        }
    }
}
