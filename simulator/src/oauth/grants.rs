//! ◆ Pure: what Meta remembers of logins: codes and the tokens of people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Login;

/// What a person allowed.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) login: Login,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    /// The Instagram account, or the Pages that were ticked. None at Instagram: a personal account.
    pub(crate) accounts: Vec<String>,
    pub(crate) listing: Listing,
    /// The code was exchanged.
    pub(crate) used: bool,
}

/// What `/me/accounts` shows of the Pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Listing {
    /// All that were ticked.
    #[default]
    Listed,
    /// The first one: a portfolio owns the others, and the token names all of them.
    Mixed,
    /// None: a portfolio owns them, and the token names them.
    Named,
    /// None: a portfolio owns them, and the token is for all of its assets.
    All,
}

/// How the next codes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeRefusal {
    /// Used, or older than an hour.
    Used,
    /// The redirect address is another one.
    Redirect,
    /// No such app, or another secret.
    App,
}

/// All logins so far.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) codes: BTreeMap<String, Grant>,
    /// Tokens of people: short and long ones of Facebook, short ones of Instagram, and those of personal accounts.
    pub(crate) tokens: BTreeMap<String, Grant>,
    /// Every code and token that was given out: what must be found nowhere.
    pub(crate) secrets: Vec<String>,
}

/// A Page as a person sees it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Id and handle of its Instagram account.
    pub(crate) instagram: Option<(String, String)>,
}
