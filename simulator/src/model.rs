//! ◆ Pure: what the simulated Meta consists of: accounts, people, messages, comments.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a conversation takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Instagram Direct and comments; webhook object `instagram`.
    Instagram,
    /// Messenger and Page comments; webhook object `page`.
    Messenger,
}

/// How the account was connected (docs/meta-platform.md 0): decides host, token and signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// Instagram API with Instagram Login: graph.instagram.com, `/me/…`, the Instagram app secret.
    Instagram,
    /// By Facebook Page: graph.facebook.com, `/{page-id}/…`, the app secret.
    Facebook,
}

/// One of the two Graph hosts; here one path prefix each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Host {
    /// graph.facebook.com, here `/facebook`.
    Facebook,
    /// graph.instagram.com, here `/instagram`.
    Instagram,
}

/// An account to simulate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSpec {
    /// Instagram or Messenger.
    pub channel: Channel,
    /// Which Graph host serves it. Messenger is always `facebook`.
    pub login: Login,
    /// The id in `entry.id`: the `17841…` id or the Page id.
    pub id: String,
    /// The linked Page of an Instagram account that is connected by Facebook Login.
    #[serde(default)]
    pub page_id: Option<String>,
    /// Display name.
    pub name: String,
    /// Handle; Messenger pages may have one too.
    pub username: String,
    /// The token Graph accepts for this account.
    pub token: String,
    /// App-scoped id of an Instagram Login account: `id` of `GET /me`, never in webhooks.
    #[serde(default)]
    pub alias: Option<String>,
    /// The token is good on the other Graph host too (docs/meta-platform.md 5.3, way 6).
    #[serde(default)]
    pub token_on_both_hosts: bool,
}

impl AccountSpec {
    /// An Instagram Login account with made-up name, token and alias.
    pub fn instagram(id: &str) -> AccountSpec {
        AccountSpec {
            channel: Channel::Instagram,
            login: Login::Instagram,
            id: id.to_owned(),
            page_id: None,
            name: "Lumen Lamps".to_owned(),
            username: "lumen.lamps".to_owned(),
            token: format!("IGSIM{id}"),
            alias: Some(format!("255{}", id.get(3..).unwrap_or(id))),
            token_on_both_hosts: false,
        }
    }

    /// An Instagram account connected through the Page `page_id`.
    pub fn instagram_by_page(id: &str, page_id: &str) -> AccountSpec {
        AccountSpec {
            login: Login::Facebook,
            page_id: Some(page_id.to_owned()),
            token: format!("EAASIM{page_id}{id}"),
            alias: None,
            ..AccountSpec::instagram(id)
        }
    }

    /// A Facebook Page on Messenger.
    pub fn messenger(page_id: &str) -> AccountSpec {
        AccountSpec {
            channel: Channel::Messenger,
            login: Login::Facebook,
            id: page_id.to_owned(),
            page_id: None,
            name: "Lumen Lamps".to_owned(),
            username: "lumenlamps".to_owned(),
            token: format!("EAASIM{page_id}"),
            alias: None,
            token_on_both_hosts: false,
        }
    }

    /// Another token.
    pub fn with_token(self, token: &str) -> AccountSpec {
        AccountSpec { token: token.to_owned(), ..self }
    }

    /// Another display name and handle.
    pub fn named(self, name: &str, username: &str) -> AccountSpec {
        AccountSpec { name: name.to_owned(), username: username.to_owned(), ..self }
    }

    /// The host that serves this account.
    pub fn host(&self) -> Host {
        match self.login {
            Login::Instagram => Host::Instagram,
            Login::Facebook => Host::Facebook,
        }
    }
}

/// Names an account inside the simulator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct AccountKey {
    /// Its channel.
    pub channel: Channel,
    /// Its `entry.id`.
    pub id: String,
}

/// How loudly usage headers speak (docs/meta-platform.md 10).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// `call_count` in percent.
    pub percent: u32,
    /// `estimated_time_to_regain_access` in minutes.
    #[serde(default)]
    pub regain_minutes: u32,
    /// Calls are refused (613) while it lasts.
    #[serde(default)]
    pub refuse: bool,
}

/// An account and how Meta sees it now.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// As it was added.
    pub spec: AccountSpec,
    /// Tokens that are good now.
    pub tokens: BTreeSet<String>,
    /// Tokens that were good once: answered with 190/463.
    pub expired: BTreeSet<String>,
    /// When tokens were issued: those of Instagram Login end after 60 days.
    pub issued: BTreeMap<String, DateTime<Utc>>,
    /// Tokens of a person who removed the app: answered with 190/458.
    pub removed: BTreeSet<String>,
    /// Subscribed webhook fields; empty means that nothing is delivered.
    pub subscribed: BTreeSet<String>,
    /// The same of the Page behind an Instagram account.
    pub page_subscribed: BTreeSet<String>,
    /// Fields that Meta does not grant, with the code of the refusal.
    pub refused_fields: BTreeMap<String, i64>,
    /// Usage returned in headers, and until when.
    pub usage: Option<(Usage, Option<DateTime<Utc>>)>,
}

/// What Graph says when asked for a person's profile (docs/meta-platform.md 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileAnswer {
    /// The profile. Instagram people who only commented still get 230.
    #[default]
    Ok,
    /// 200 with `{}`: not allowed.
    Empty,
    /// 100/33: unsupported get.
    Unsupported,
    /// 2018218: account made with a phone number.
    PhoneAccount,
    /// 230: consent missing.
    NoConsent,
    /// 2018247: insufficient permission for a field.
    NoPermission,
    /// HTTP 500, code 1.
    ServerError,
}

/// What Graph says when asked for a message by its mid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// The message.
    #[default]
    Ok,
    /// HTTP 500, code 1, on both hosts.
    ServerError,
    /// HTTP 500 on graph.instagram.com, the message on graph.facebook.com.
    ServerErrorOnInstagramHost,
    /// 9000001: deleted or too old.
    Deleted,
    /// Code 3: the app lacks the capability.
    NoCapability,
}

/// A person as one account knows them.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// IGSID or PSID.
    pub id: String,
    /// The account that knows them under this id.
    pub account: AccountKey,
    /// Full name.
    pub name: String,
    /// Handle.
    pub username: String,
    /// What a profile read says.
    pub profile: ProfileAnswer,
    /// They are no participant of the thread any more, which stays in listings.
    pub gone: bool,
    /// They blocked the account: sends end in 551/1545041.
    pub blocks: bool,
    /// Another app owns the thread: sends end in 100/2534037 and their messages come as standby.
    pub thread_elsewhere: bool,
    /// When they last did something that opens the 24 h window (docs/meta-platform.md 11).
    pub window_opened: Option<DateTime<Utc>>,
}

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The person.
    Person,
    /// The account.
    Account,
}

/// One message in a thread, as both sides see it.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// Meta's message id.
    pub mid: String,
    #[serde(skip)]
    pub(crate) account: AccountKey,
    /// The person of the thread.
    pub person: String,
    /// Who wrote it.
    pub from: Side,
    /// Its text now.
    pub text: Option<String>,
    /// Attachments as Meta writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    /// Mid it quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The comment a private reply answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_reply_to: Option<String>,
    /// The metadata the sender set; never shown to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The tag the sender claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The whole `message` object of the send call.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub sent: Value,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// How often it was edited.
    pub edits: u32,
    /// It was unsent.
    pub deleted: bool,
    /// Reactions by who gave them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reactions: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) lookup: Lookup,
    #[serde(skip)]
    pub(crate) listed: bool,
}

impl Message {
    /// The account of the thread.
    pub fn account_id(&self) -> &str {
        &self.account.id
    }
}

/// A public comment.
#[derive(Clone, Debug, Serialize)]
pub struct Comment {
    /// Its id; on Pages `{post}_{comment}`.
    pub id: String,
    #[serde(skip)]
    pub(crate) account: AccountKey,
    /// The media or post it stands under.
    pub media: String,
    /// The comment it answers.
    pub parent: Option<String>,
    /// The person who wrote it; none when the account did.
    pub person: Option<String>,
    /// Its text now.
    pub text: String,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// It is hidden.
    pub hidden: bool,
    /// It was deleted.
    pub deleted: bool,
    /// Mid of the one private reply to it.
    pub private_reply: Option<String>,
}

impl Comment {
    /// The account under whose media it stands.
    pub fn account_id(&self) -> &str {
        &self.account.id
    }
}

/// How long the standard window stays open after an opening act (docs/meta-platform.md 11).
pub(crate) const WINDOW: TimeDelta = TimeDelta::hours(24);
/// How long `HUMAN_AGENT` stretches it.
pub(crate) const HUMAN_AGENT_WINDOW: TimeDelta = TimeDelta::days(7);
/// How old a comment may be for a private reply (docs/meta-platform.md 8.3).
pub(crate) const PRIVATE_REPLY_WINDOW: TimeDelta = TimeDelta::days(7);
