//! `hookline accounts check`: asks Graph whether token, permissions and webhook subscription work.

use serde_json::Value;

use super::client::Graph;
use super::error::{Class, GraphError};
use super::fields::targets;
use super::findings::{self, Finding, Level};
use super::identity::Identity;
use super::limits::Lane;
use super::reads::{subscribed_by_app, text_of, texts};
use facts::accounts::{AccountStore, Connected};

/// Asks, and judges. Of Graph it reads only; the ids and the handle that Graph uses for the account are stored. An account that is stopped is
/// asked all the same.
pub async fn check(graph: &Graph, accounts: &AccountStore, connected: &Connected) -> Vec<Finding> {
    let mut all = Vec::new();
    match graph.me(connected, Lane::Reply).await {
        Ok(me) => {
            all.push(Finding::good("token", "Graph accepts the token"));
            all.extend(identity(accounts, connected, &me).await);
        }
        Err(error) => {
            all.push(refused("token", &error));
            // Without an answer to this, the others would only say the same.
            return all;
        }
    }
    let mut app = None;
    match graph.debug_token(connected).await {
        Ok(token) => {
            app = text_of(token.get("app_id"));
            let expires = token.get("expires_at").and_then(Value::as_i64).unwrap_or(0);
            all.extend(findings::expiry(expires, runtime::now()));
            match token.get("scopes").filter(|listed| listed.is_array()) {
                Some(listed) => {
                    all.extend(findings::scopes(&connected.account, &texts(Some(listed))));
                }
                None => all.push(unreadable()),
            }
        }
        Err(error) if error.class == Class::Account => all.push(refused("scopes", &error)),
        Err(_) => all.push(unreadable()),
    }
    let account = &connected.account;
    let known = accounts.fields(account.channel, &account.id).await.unwrap_or_default();
    for target in targets(account) {
        match graph.subscription(connected, &target.node).await {
            Ok(answer) => {
                let fields = subscribed_by_app(&answer, app.as_deref());
                all.push(findings::subscription(&target, &fields, &known));
            }
            Err(error) if target.required => all.push(refused("subscription", &error)),
            Err(_) => {}
        }
    }
    if connected.account.stopped {
        let fix = "add it again with a working token (`hookline accounts add`)";
        all.push(Finding::problem(
            "state",
            "the account is stopped: nothing is sent or looked up for it",
            fix,
        ));
    }
    all
}

/// Judges the ids of the token's owner, and stores those that are new.
async fn identity(accounts: &AccountStore, connected: &Connected, me: &Value) -> Vec<Finding> {
    let account = &connected.account;
    let Identity { ids, handle } = Identity::read(me, account.channel);
    let mut all = vec![findings::identity(account, &ids, handle.as_deref())];
    if all[0].level == Level::Good {
        match accounts.learn(account, &ids, handle.as_deref()).await {
            Ok(learnt) => all.extend(findings::refused_ids(&learnt.refused)),
            Err(error) => {
                let fix = "look at DATABASE_URL and run the check again";
                let text = format!("the ids that Graph uses could not be stored: {error}");
                all.push(Finding::warning("identity", text, fix));
            }
        }
    }
    all
}

fn unreadable() -> Finding {
    let fix = "look at the permissions in Meta's dashboard";
    Finding::warning("scopes", "Graph does not show this token its own permissions", fix)
}

fn refused(check: &'static str, error: &GraphError) -> Finding {
    let fix = match error.class {
        Class::Account => "store a new token with `hookline accounts add`",
        Class::Permission => {
            "grant the permission in Meta's dashboard and connect the account again"
        }
        Class::Limited(_) => "try again later: the rate limit is reached",
        Class::Retry | Class::Unknown => {
            "try again; look at GRAPH_FACEBOOK_URL and GRAPH_INSTAGRAM_URL if it stays so"
        }
        _ => "look at --login, --id and --page-id, and at the token's kind",
    };
    Finding::problem(check, error.to_string(), fix)
}
