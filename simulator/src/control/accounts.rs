//! `/sim/accounts`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Answer, Input, Refusal};
use crate::account::AccountHandle;
use crate::handle::SimulatorHandle;
use crate::model::{AccountSpec, Usage};
use crate::shared::Shared;

pub(super) fn find(shared: &Arc<Shared>, id: &str) -> Result<AccountHandle, Refusal> {
    let found = SimulatorHandle::of(shared.clone()).account(id);
    found.ok_or_else(|| Refusal::unknown("account", id))
}

fn shown(account: &AccountHandle) -> Value {
    let spec = account.spec().map(|spec| json!(spec)).unwrap_or_default();
    json!({
        "account": spec,
        "people": account.people().len(),
        "subscribed_fields": account.subscribed_fields(),
    })
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let accounts = SimulatorHandle::of(shared).accounts();
    Json(json!({"accounts": accounts.iter().map(shown).collect::<Vec<_>>()}))
}

pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Input(spec): Input<AccountSpec>,
) -> Answer {
    let account = SimulatorHandle::of(shared).add_account(spec)?;
    Ok(Json(shown(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenChange {
    #[serde(default)]
    expire: bool,
    #[serde(default)]
    remove_app: bool,
    token: Option<String>,
}

pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(change): Input<TokenChange>,
) -> Answer {
    let account = find(&shared, &id)?;
    match change.token.as_deref() {
        Some("") => return Err(Refusal::invalid("token", "must not be empty")),
        Some(token) => account.set_token(token),
        None if change.expire => account.expire_token(),
        None if change.remove_app => account.remove_app(),
        None => {
            return Err(Refusal::invalid(
                "token",
                "give `token`, `\"expire\": true` or `\"remove_app\": true`",
            ));
        }
    }
    Ok(Json(shown(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldChange {
    refused: Vec<String>,
    #[serde(default = "FieldChange::code")]
    code: i64,
}

impl FieldChange {
    const fn code() -> i64 {
        200
    }
}

pub(super) async fn fields(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(change): Input<FieldChange>,
) -> Answer {
    let account = find(&shared, &id)?;
    let refused: Vec<&str> = change.refused.iter().map(String::as_str).collect();
    account.refuse_fields(&refused, change.code);
    Ok(Json(shown(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageChange {
    percent: u32,
    #[serde(default)]
    regain_minutes: u32,
    #[serde(default)]
    refuse: bool,
    for_ms: Option<u64>,
}

pub(super) async fn usage(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(change): Input<UsageChange>,
) -> Answer {
    let account = find(&shared, &id)?;
    let UsageChange { percent, regain_minutes, refuse, for_ms } = change;
    let usage = Usage { percent, regain_minutes, refuse };
    account.set_usage(usage, for_ms.map(Duration::from_millis));
    Ok(Json(json!({"usage": usage})))
}

pub(super) async fn clear_usage(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Answer {
    find(&shared, &id)?.clear_usage();
    Ok(Json(json!({"usage": null})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMedia {
    caption: String,
}

pub(super) async fn media(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(new): Input<NewMedia>,
) -> Answer {
    let account = find(&shared, &id)?;
    Ok(Json(json!({"id": account.media(&new.caption)})))
}
