//! How accounts stand: tokens, scopes, webhook fields.

use schemas::{AccountId, Channel, Timestamp};

use super::directory::Login;
use super::token::Token;

/// How an account stands, without its token.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Standing {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub id: AccountId,
    /// How it is connected.
    pub login: Login,
    /// Neither stopped nor disconnected.
    pub active: bool,
    /// Its token was destroyed.
    pub disconnected: bool,
    /// When the token was stored.
    pub token_since: Timestamp,
    /// When it ends; `None`: not known, or never.
    pub token_ends: Option<Timestamp>,
    /// When Meta last accepted it and its fields were asked for.
    pub looked_at: Option<Timestamp>,
    /// Failed looks in a row.
    #[sqlx(try_from = "i32")]
    pub look_tries: u32,
    /// The last one.
    pub look_tried_at: Option<Timestamp>,
    /// Failed refreshes in a row.
    #[sqlx(try_from = "i32")]
    pub refresh_tries: u32,
    /// The last one.
    pub refresh_tried_at: Option<Timestamp>,
    /// A new token is stored that has not answered yet.
    pub has_next: bool,
}

/// A token that Meta gave for another one.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The token.
    pub token: Token,
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// The scopes that came with it, where Meta names them.
    pub scopes: Option<Scopes>,
}

/// What a token may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Granted.
    pub granted: Vec<String>,
    /// Not granted.
    pub missing: Vec<MissingScope>,
}

/// A scope that is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingScope {
    /// Its name at Meta.
    pub scope: &'static str,
    /// The feature that needs it.
    pub feature: &'static str,
    /// What does not work without it.
    pub costs: &'static str,
}

/// What a look at a token showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// When the token ends, where Meta shows it.
    pub ends: Option<Timestamp>,
    /// Granted scopes, where Meta shows them.
    pub scopes: Option<Scopes>,
    /// The app-scoped id of the person who connected, where Meta shows it.
    pub person: Option<String>,
}

/// A webhook field as Meta has it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FieldRow {
    /// `instagram` or `page`.
    pub object: String,
    /// Its name at Meta.
    pub field: String,
    /// `subscribed`, `refused` or `missing`.
    pub state: String,
    /// Meta's numbers, where it was refused.
    pub code: Option<i64>,
    /// The sub-code.
    pub subcode: Option<i64>,
    /// What does not arrive without it.
    pub costs: Option<String>,
}

impl FieldRow {
    /// Meta has it.
    pub fn is_subscribed(&self) -> bool {
        self.state == "subscribed"
    }
}

/// An account whose token is to be looked after by people: it ends, or fields are withheld.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Attention {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub id: AccountId,
    /// `active`, `stopped` or `disconnected`.
    pub state: String,
    /// When its token ends; `None`: not known, or never.
    pub token_ends: Option<Timestamp>,
    /// Why the last refresh failed, in numbers.
    pub refresh_error: Option<String>,
    /// Fields that Meta refused or lost, as `object/field`.
    pub withheld: Vec<String>,
    /// When it was heard of by webhook, by field; '' stands for all of them.
    #[sqlx(skip)]
    pub heard: Vec<Heard>,
}

/// When something came by a webhook field.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Heard {
    /// Meta's name of it; '' stands for all of them.
    pub field: String,
    /// The first one.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// The longest silence between two of the last weeks, seconds.
    #[sqlx(try_from = "i64")]
    pub longest_gap: u64,
    /// How often something came after a pause.
    #[sqlx(try_from = "i32")]
    pub spells: u32,
}
