//! Keeping a token good: a new one before the old one ends, a look at it every day.

use facts::accounts::directory::Account;
use facts::accounts::directory::Login;
use facts::accounts::upkeep::{FieldRow, NewToken, Shown};
use facts::accounts::{AccountStore, Connected};
use runtime::failpoint;
use schemas::Timestamp;
use serde_json::Value;

use super::call::Call;
use super::client::Graph;
use super::error::{Class, GraphError};
use super::identity::{self, Identity};
use super::limits::Lane;
use super::oauth::given_token;
use super::reads::{text_of, texts};
use super::scopes;
use super::subscribe::{UpkeepError, subscribe};

/// What came of asking for a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The account has a new one.
    Yes,
    /// A new one is stored and has not answered yet: the old one stays in use until it has.
    Unconfirmed,
    /// Tokens of this login have no end.
    NotNeeded,
    /// Another token was stored meanwhile.
    Overtaken,
}

impl Refreshed {
    /// A word for outcomes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Unconfirmed => "unconfirmed",
            Self::NotNeeded => "not_needed",
            Self::Overtaken => "overtaken",
        }
    }
}

/// Asks for a new token. The try is written down first; the new token is stored, sealed, before it is used, and replaces the old one only once
/// it has answered.
///
/// # Errors
/// [`UpkeepError`]; the old token stays.
pub async fn refresh(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
) -> Result<Refreshed, UpkeepError> {
    let account = &connected.account;
    if account.login != Login::Instagram {
        return Ok(Refreshed::NotNeeded);
    }
    accounts.begin_refresh(account).await?;
    failpoint!("refresh.before_call");
    let new = match graph.refresh_token(connected).await {
        Ok(new) => new,
        Err(error) => {
            accounts.refresh_failed(account, &error.brief()).await?;
            // It may be too young, or lack a permission: a look or a send finds out whether it is good.
            return Err(error.into());
        }
    };
    failpoint!("refresh.after_call");
    if !keep(accounts, connected, &new).await? {
        return Ok(Refreshed::Overtaken);
    }
    failpoint!("refresh.after_keep");
    confirm(graph, accounts, connected).await
}

/// Stores a new token beside the one that is in use. That one may have been sealed under another key meanwhile (`accounts rekey`): it is the
/// same token in other bytes, and a token that Meta has given is not dropped for that. `false`: another token is in use.
async fn keep(
    accounts: &AccountStore,
    connected: &Connected,
    new: &NewToken,
) -> Result<bool, UpkeepError> {
    if accounts.keep_next(connected, new).await? {
        return Ok(true);
    }
    let account = &connected.account;
    match accounts.get(account.channel, &account.id).await? {
        Some(now) if now.token == connected.token => Ok(accounts.keep_next(&now, new).await?),
        _ => Ok(false),
    }
}

/// Asks with the new token who the account is, and uses it from then on.
///
/// # Errors
/// [`UpkeepError`]; the new token stays where it is, or is dropped where Meta refuses it.
pub async fn confirm(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
) -> Result<Refreshed, UpkeepError> {
    let account = &connected.account;
    let Some(next) = accounts.next_token(account.channel, &account.id).await? else {
        return Ok(Refreshed::Overtaken);
    };
    let me = match graph.me(&next, Lane::Sync).await {
        Ok(me) => Identity::read(&me, account.channel),
        Err(error) if matches!(error.code, Some(102 | 190)) => {
            accounts.drop_next(&next, &error.brief()).await?;
            return Err(error.into());
        }
        Err(_) => return Ok(Refreshed::Unconfirmed),
    };
    if me.ids.is_empty() {
        return Ok(Refreshed::Unconfirmed);
    }
    if !me.ids.iter().any(|id| account.is_self(id)) {
        accounts.drop_next(&next, "the new token belongs to another account").await?;
        return Ok(Refreshed::Overtaken);
    }
    failpoint!("refresh.before_use");
    let used = accounts.use_next(&next).await?;
    failpoint!("refresh.after_use");
    if !used {
        return Ok(Refreshed::Overtaken);
    }
    // The fields of the old token were seen to go with it. The worker asks again within a minute if this fails.
    if let Err(error) = first_look(graph, accounts, &next).await {
        tracing::debug!(account.id = %account.id, %error, "Could not ask for the webhook fields with a new token");
    }
    Ok(Refreshed::Yes)
}

/// Asks Meta whether it accepts the token, learns what it shows of it, and asks for the webhook fields.
///
/// # Errors
/// [`UpkeepError`]; noted with its numbers. A token that Meta refuses stops the account.
pub async fn look(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
) -> Result<Vec<FieldRow>, UpkeepError> {
    let account = &connected.account;
    let seen = match check(graph, accounts, connected).await {
        Ok(seen) => seen,
        Err(UpkeepError::Graph(error)) => {
            accounts.looked(account, Err(&error.brief())).await?;
            return Err(refused(accounts, connected, error).await?);
        }
        Err(error) => return Err(error),
    };
    match subscribe(graph, accounts, &seen.connected, seen.app.as_deref()).await {
        Ok(fields) => {
            accounts.looked(account, Ok(())).await?;
            Ok(fields)
        }
        Err(UpkeepError::Graph(error)) => {
            accounts.looked(account, Err(&error.brief())).await?;
            Err(error.into())
        }
        Err(error) => Err(error),
    }
}

/// The same at once after a token was stored: nothing is stopped, for the worker looks again within a minute.
///
/// # Errors
/// [`UpkeepError`]
pub async fn first_look(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
) -> Result<Vec<FieldRow>, UpkeepError> {
    let seen = check(graph, accounts, connected).await?;
    let fields = subscribe(graph, accounts, &seen.connected, seen.app.as_deref()).await?;
    accounts.looked(&connected.account, Ok(())).await?;
    Ok(fields)
}

/// A token that Meta accepted.
struct Seen {
    connected: Connected,
    /// The app that it was given to, where Meta shows it.
    app: Option<String>,
}

/// Asks Meta whether it accepts the token, and stores what it shows. No other call of a look says whether a token is good.
async fn check(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
) -> Result<Seen, UpkeepError> {
    let mut connected = connected.clone();
    let (shown, app) = match connected.account.login {
        Login::Instagram => {
            let me = graph.me(&connected, Lane::Sync).await?;
            identity::take_in(accounts, &mut connected, &me).await;
            (Shown::default(), None)
        }
        Login::Facebook => {
            let data = graph.debug_token(&connected).await?;
            read_token(&connected.account, &data)?
        }
    };
    accounts.shown(&connected.account, &shown).await?;
    Ok(Seen { connected, app })
}

async fn refused(
    accounts: &AccountStore,
    connected: &Connected,
    error: GraphError,
) -> Result<UpkeepError, UpkeepError> {
    if error.class == Class::Account {
        accounts.stop(connected, &error.refusal()).await?;
    }
    Ok(error.into())
}

/// Reads what `debug_token` shows: of the token, and the id of the app it was given to. It answers 200 for a token that has ended
/// (docs/meta-platform-2.md 16.5).
fn read_token(account: &Account, data: &Value) -> Result<(Shown, Option<String>), GraphError> {
    if data.get("is_valid") == Some(&Value::Bool(false)) {
        let number = |key: &str| data.pointer(key).and_then(Value::as_i64);
        return Err(GraphError::token_ended(number("/error/code"), number("/error/subcode")));
    }
    let scopes = data.get("scopes").filter(|listed| listed.is_array());
    let shown = Shown {
        ends: data
            .get("expires_at")
            .and_then(Value::as_i64)
            .filter(|seconds| *seconds > 0)
            .and_then(Timestamp::from_meta_number),
        scopes: scopes.map(|listed| scopes::judge(account, texts(Some(listed)))),
        person: text_of(data.get("user_id")),
    };
    Ok((shown, text_of(data.get("app_id"))))
}

impl Graph {
    /// `GET /refresh_access_token`: a new long-lived Instagram token (docs/meta-platform-2.md 16.1).
    async fn refresh_token(&self, connected: &Connected) -> Result<NewToken, GraphError> {
        let call = Call::new("token_refresh", Lane::Reply).without_version().without_verdict();
        let query = [("grant_type", "ig_refresh_token")];
        let answer = self.get_once(connected, call, &["refresh_access_token"], &query).await?;
        let given = given_token(&answer, runtime::now()).ok_or_else(GraphError::unreadable)?;
        let permissions = answer.get("permissions").map(|listed| texts(Some(listed)));
        Ok(NewToken {
            token: given.token,
            ends: given.ends,
            scopes: permissions.map(|granted| scopes::judge(&connected.account, granted)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_that_has_ended_is_no_success_and_zero_is_never() {
        let account = crate::testing::account(Login::Facebook, schemas::Channel::Messenger);
        let read_token = |data: &Value| read_token(&account, data);
        let ended = json!({"is_valid": false, "error": {"code": 190, "subcode": 463}, "expires_at": 1_794_960_000});
        let error = read_token(&ended).unwrap_err();
        assert_eq!((error.class, error.subcode), (Class::Account, Some(463)));
        let removed = json!({"is_valid": false, "error": {"code": 190, "subcode": 458}});
        assert!(read_token(&removed).unwrap_err().app_removed());
        let good = json!({"app_id": "990000000000001", "is_valid": true, "expires_at": 0, "scopes": ["pages_messaging"],
                          "user_id": "990000000000777"});
        let (shown, app) = read_token(&good).unwrap();
        assert_eq!((shown.ends, app.as_deref()), (None, Some("990000000000001")));
        assert_eq!(shown.person.as_deref(), Some("990000000000777"));
    }
}
