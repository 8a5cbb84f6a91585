//! ◆ Pure: the answers of Meta's logins, in all documented and observed forms (docs/meta-platform-2.md 16).

use std::time::Duration;

use facts::accounts::Token;
use schemas::Timestamp;
use serde_json::Value;

use crate::reads::{list, text_of, texts};

/// Longest part of Meta's words that is shown to a person.
const WORDS_MAX: usize = 300;

/// What Instagram gives for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGrant {
    /// A token of one hour.
    pub token: Token,
    /// App-scoped: an alias, never the account.
    pub user_id: Option<String>,
    /// What the person left ticked.
    pub permissions: Vec<String>,
}

/// A token and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenToken {
    /// The token.
    pub token: Token,
    /// `None`: Meta names no end.
    pub ends: Option<Timestamp>,
}

/// Whose an Instagram token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The professional account id, which webhooks name. A personal account has none.
    pub account: Option<String>,
    /// The app-scoped id.
    pub app_scoped: Option<String>,
    /// Its handle.
    pub username: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// It may use the messaging API.
    pub professional: bool,
}

/// A Page that a person may act for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Page's token.
    pub token: Token,
    /// What the person may do there; `None`: Meta did not say.
    pub tasks: Option<Vec<String>>,
    /// The linked professional Instagram account: id and handle.
    pub instagram: Option<(String, Option<String>)>,
}

impl Page {
    /// Whether the person may do this there, or everything. Unknown counts as yes: Meta will say.
    pub fn may(&self, task: &str) -> bool {
        let holds = |tasks: &Vec<String>| tasks.iter().any(|held| held == task || held == "MANAGE");
        self.tasks.as_ref().is_none_or(holds)
    }
}

/// What `debug_token` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// The permissions.
    pub scopes: Vec<String>,
    /// The app-scoped id of the person.
    pub person: Option<String>,
    /// The Pages it was granted for; empty: all of them.
    pub pages: Vec<String>,
}

impl TokenInfo {
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }
}

/// `{"error_type", "code", "error_message"}`: Instagram's own form of a refusal. Its words are for people; nothing is decided by them.
pub(super) fn instagram_refusal(status: u16, body: &[u8]) -> Option<String> {
    if (200..300).contains(&status) {
        return None;
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let words = answer.get("error_message")?.as_str()?;
    Some(words.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect())
}

/// The same three members, in `data[0]` or flat.
pub(super) fn code_grant(answer: &Value) -> Option<CodeGrant> {
    let grant = answer.pointer("/data/0").unwrap_or(answer);
    Some(CodeGrant {
        token: token(grant.get("access_token"))?,
        user_id: text_of(grant.get("user_id")),
        permissions: texts(grant.get("permissions")),
    })
}

/// A token with its end, as every exchange and refresh answers. 0 seconds is no known end.
pub(crate) fn given_token(answer: &Value, now: Timestamp) -> Option<GivenToken> {
    let seconds = answer.get("expires_in").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    let ends = seconds.map(|seconds| {
        let millis = i64::try_from(Duration::from_secs(seconds).as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_add(millis))
    });
    Some(GivenToken { token: token(answer.get("access_token"))?, ends })
}

fn token(value: Option<&Value>) -> Option<Token> {
    let token = Token::new(value?.as_str()?);
    (!token.expose().is_empty()).then_some(token)
}

pub(super) fn owner(answer: &Value) -> Option<Owner> {
    let me = answer.pointer("/data/0").unwrap_or(answer);
    let kind = text_of(me.get("account_type")).unwrap_or_default().to_ascii_uppercase();
    let owner = Owner {
        account: text_of(me.get("user_id")),
        app_scoped: text_of(me.get("id")),
        username: text_of(me.get("username")),
        name: text_of(me.get("name")),
        professional: matches!(kind.as_str(), "BUSINESS" | "MEDIA_CREATOR" | "CREATOR"),
    };
    (owner.account.is_some() || owner.app_scoped.is_some()).then_some(owner)
}

pub(super) fn page(value: &Value) -> Option<Page> {
    let instagram = value.get("instagram_business_account");
    let id = text_of(value.get("id"))?;
    Some(Page {
        name: text_of(value.get("name")).unwrap_or_else(|| id.clone()),
        id,
        token: token(value.get("access_token"))?,
        tasks: value.get("tasks").map(|tasks| texts(Some(tasks))),
        instagram: instagram.and_then(|account| {
            Some((text_of(account.get("id"))?, text_of(account.get("username"))))
        }),
    })
}

pub(super) fn token_info(answer: &Value) -> TokenInfo {
    let data = answer.get("data").unwrap_or(answer);
    let of_pages = |scope: &&Value| {
        scope.get("scope").and_then(Value::as_str).is_some_and(|name| name.starts_with("pages_"))
    };
    let mut pages: Vec<String> = list(data.get("granular_scopes"))
        .filter(of_pages)
        .flat_map(|scope| texts(scope.get("target_ids")))
        .collect();
    pages.sort();
    pages.dedup();
    TokenInfo { scopes: texts(data.get("scopes")), person: text_of(data.get("user_id")), pages }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
