//! `/sim/callbacks`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use super::accounts::find;
use super::input::{Answer, Input, Refusal};
use crate::callback::CallbackKind;
use crate::handle::SimulatorHandle;
use crate::shared::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Callback {
    app: String,
    kind: CallbackKind,
    account: Option<String>,
    user_id: Option<String>,
    issued_at: Option<i64>,
}

pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    Input(callback): Input<Callback>,
) -> Answer {
    let user_id = match (callback.user_id, &callback.account) {
        (Some(id), None) => id,
        (None, Some(account)) => find(&shared, account)?.connected_by(),
        _ => return Err(Refusal::invalid("user_id", "give either `user_id` or `account`")),
    };
    let meta = SimulatorHandle::of(shared);
    let (status, answer) =
        meta.call_back(&callback.app, callback.kind, &user_id, callback.issued_at).await;
    Ok(Json(json!({"user_id": user_id, "status": status, "answer": answer})))
}
