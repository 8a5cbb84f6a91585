//! Faults, calls, habits, deliveries, traffic.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Answer, Input, Params, Refusal};
use crate::call_kind::CallKind;
use crate::config::{Policy, webhook_url};
use crate::faults::FaultRule;
use crate::handle::SimulatorHandle;
use crate::model::Login;
use crate::shared::Shared;
use crate::sign;
use crate::traffic::Traffic;

const LIMIT_DEFAULT: usize = 100;

pub(super) async fn index(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let simulator = SimulatorHandle::of(shared.clone());
    let webhook = shared.webhook_url.borrow().as_ref().map(ToString::to_string);
    Json(json!({
        "GRAPH_FACEBOOK_URL": simulator.facebook_url(),
        "GRAPH_INSTAGRAM_URL": simulator.instagram_url(),
        "webhook_url": webhook,
        "open_deliveries": shared.outbox().open(),
        "endpoints": [
            "GET,POST /sim/accounts", "POST /sim/accounts/{id}/token",
            "POST,DELETE /sim/accounts/{id}/usage", "POST /sim/accounts/{id}/media",
            "GET,POST /sim/people", "PATCH /sim/people/{id}", "POST /sim/people/{id}/acts",
            "GET /sim/people/{id}/seen", "GET /sim/received", "GET /sim/comments",
            "GET,POST,DELETE /sim/faults", "GET /sim/calls", "GET /sim/counts",
            "GET,PATCH /sim/policy", "PUT /sim/webhook", "GET /sim/deliveries",
            "POST /sim/deliveries/{id}/redeliver", "POST /sim/deliver",
            "PUT,DELETE /sim/traffic",
        ],
    }))
}

pub(super) async fn faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"faults": shared.world().faults.rules()}))
}

pub(super) async fn add_fault(
    State(shared): State<Arc<Shared>>,
    Input(rule): Input<FaultRule>,
) -> Answer {
    if !(0.0..=1.0).contains(&rule.rate) {
        return Err(Refusal::invalid("rate", "must be between 0 and 1"));
    }
    if rule.times == Some(0) {
        return Err(Refusal::invalid("times", "must be 1 or more, or absent"));
    }
    let mut world = shared.world();
    if let Some(account) = &rule.account
        && world.account_by_id(account).is_none()
    {
        return Err(Refusal::invalid("account", "is not an account of this simulator"));
    }
    world.faults.add(rule);
    Ok(Json(json!({"faults": world.faults.rules()})))
}

pub(super) async fn clear_faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.world().faults.clear();
    Json(json!({"faults": []}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    kind: Option<CallKind>,
    account: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn calls(
    State(shared): State<Arc<Shared>>,
    Params(which): Params<Which>,
) -> Json<Value> {
    let world = shared.world();
    let mut calls: Vec<_> = world.calls.matching(which.kind, which.account.as_deref()).collect();
    let skip = calls.len().saturating_sub(which.limit.unwrap_or(LIMIT_DEFAULT));
    let total = world.calls.count(which.kind, which.account.as_deref());
    Json(json!({"total": total, "calls": calls.split_off(skip)}))
}

pub(super) async fn counts(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let row = |(kind, account, count): (CallKind, Option<&str>, u64)| json!({"kind": kind, "account": account, "count": count});
    Json(json!({"counts": world.calls.counts().map(row).collect::<Vec<_>>()}))
}

pub(super) async fn policy(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.policy()))
}

pub(super) async fn change_policy(
    State(shared): State<Arc<Shared>>,
    Input(change): Input<serde_json::Map<String, Value>>,
) -> Answer {
    let mut merged = match json!(shared.policy()) {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    for (field, value) in change {
        if !merged.contains_key(&field) {
            return Err(Refusal::invalid(&field, "is not a habit; see GET /sim/policy"));
        }
        let mut probe = merged.clone();
        probe.insert(field.clone(), value.clone());
        // One field at a time, so that the wrong one can be named.
        serde_json::from_value::<Policy>(probe.into())
            .map_err(|error| Refusal::invalid(&field, &error.to_string()))?;
        merged.insert(field, value);
    }
    let policy: Policy = serde_json::from_value(merged.into())
        .map_err(|error| Refusal::invalid("body", &error.to_string()))?;
    policy.check()?;
    shared.set_policy(policy.clone());
    Ok(Json(json!(policy)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    url: String,
}

pub(super) async fn webhook(
    State(shared): State<Arc<Shared>>,
    Input(webhook): Input<Webhook>,
) -> Answer {
    let url = webhook_url("url", &webhook.url)?;
    shared.webhook_url.send_replace(Some(url.clone()));
    Ok(Json(json!({"url": url.as_str()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    limit: Option<usize>,
}

pub(super) async fn deliveries(
    State(shared): State<Arc<Shared>>,
    Params(limit): Params<Limit>,
) -> Json<Value> {
    let outbox = shared.outbox();
    let newest = outbox.all().rev().take(limit.limit.unwrap_or(LIMIT_DEFAULT));
    let shown = newest.map(|delivery| {
        let mut row = json!(delivery);
        row["body"] = String::from_utf8_lossy(&delivery.body).into();
        row
    });
    Json(json!({"open": outbox.open(), "deliveries": shown.collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Redeliver {
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

pub(super) async fn redeliver(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(redeliver): Input<Redeliver>,
) -> Answer {
    let number: Option<u64> = id.parse().ok().filter(|id| shared.outbox().get(*id).is_some());
    let Some(number) = number else { return Err(Refusal::unknown("delivery", &id)) };
    if !(1..=1000).contains(&redeliver.times) {
        return Err(Refusal::invalid("times", "must be 1 to 1000"));
    }
    let mut statuses = Vec::new();
    for _ in 0..redeliver.times {
        statuses.push(shared.post(number).await);
    }
    Ok(Json(json!({"statuses": statuses})))
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sign {
    Facebook,
    Instagram,
    None,
    Wrong,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    path: String,
    body: Option<String>,
    body_base64: Option<String>,
    sign: Option<Sign>,
    signature: Option<String>,
}

pub(super) async fn deliver(State(shared): State<Arc<Shared>>, Input(raw): Input<Raw>) -> Answer {
    if !raw.path.starts_with('/') {
        return Err(Refusal::invalid("path", "must begin with `/`, e.g. /webhooks/instagram"));
    }
    let body = match (raw.body, raw.body_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(encoded)) => STANDARD
            .decode(encoded)
            .map_err(|error| Refusal::invalid("body_base64", &error.to_string()))?,
        _ => return Err(Refusal::invalid("body", "give either `body` or `body_base64`")),
    };
    let signed = |login| sign::signature(shared.secrets.of(login), &body);
    let signature = match (raw.signature, raw.sign) {
        (Some(exact), None) => Some(exact),
        (None, Some(Sign::Facebook)) => Some(signed(Login::Facebook)),
        (None, Some(Sign::Instagram)) => Some(signed(Login::Instagram)),
        (None, Some(Sign::None)) => None,
        (None, Some(Sign::Wrong)) => Some(sign::signature("not the secret", &body)),
        _ => return Err(Refusal::invalid("sign", "give either `sign` or `signature`")),
    };
    let attempt = shared.post_raw(&raw.path, body.into(), signature).await;
    Ok(Json(json!(attempt)))
}

pub(super) async fn traffic(
    State(shared): State<Arc<Shared>>,
    Input(traffic): Input<Traffic>,
) -> Answer {
    SimulatorHandle::of(shared).start_traffic(traffic)?;
    Ok(Json(json!({"traffic": traffic})))
}

pub(super) async fn stop_traffic(State(shared): State<Arc<Shared>>) -> Json<Value> {
    SimulatorHandle::of(shared).stop_traffic();
    Json(json!({"traffic": null}))
}
