//! `PUT` and `DELETE /v1/conversations/{id}/labels/{name}`.

use axum::response::Response;
use schemas::Fact;
use schemas::facts::ConversationLabel;

use crate::acts::mark;
use crate::app::State;
use crate::auth::Caller;
use crate::conversations::{self, Conversation};
use crate::extract::{Body, IdAndName, IdempotencyKey, LABEL_MAX, Nothing, name_of};
use crate::problem::Problem;

/// Most labels of one conversation.
const LABELS_MAX: usize = 50;

/// Put a label on a conversation
///
/// Upper and lower case are two labels. A label needs no making: it is there as soon as a conversation has it. At most 64 characters, without spaces around them; at most 50
/// labels on one conversation.
///
/// # Errors
/// 404, 409 `key_reused`, 422 naming `name`, 503.
#[utoipa::path(put, path = "/v1/conversations/{id}/labels/{name}", tag = "conversations",
    params(("id" = String, Path, description = "`cnv_…`"), ("name" = String, Path, description = "The label.")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put(
    axum::extract::State(app): State,
    caller: Caller,
    IdAndName(id, name): IdAndName,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    let label = name_of("name", &name, LABEL_MAX)?;
    let has = conversations::load(&app.pool, &caller, &id).await?.labels;
    if has.len() >= LABELS_MAX && !has.contains(&label) {
        let most = format!("a conversation has at most {LABELS_MAX} labels: take one off first");
        return Err(Problem::invalid("name", most));
    }
    let by = Some(caller.name.clone());
    mark(&app, &caller, &id, key, Fact::ConversationLabelled(ConversationLabel { label, by })).await
}

/// Take a label off a conversation
///
/// Also where the conversation does not have it.
///
/// # Errors
/// 404, 409 `key_reused`, 422 naming `name`, 503.
#[utoipa::path(delete, path = "/v1/conversations/{id}/labels/{name}", tag = "conversations",
    params(("id" = String, Path, description = "`cnv_…`"), ("name" = String, Path, description = "The label.")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn delete(
    axum::extract::State(app): State,
    caller: Caller,
    IdAndName(id, name): IdAndName,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    let label = name_of("name", &name, LABEL_MAX)?;
    let by = Some(caller.name.clone());
    mark(&app, &caller, &id, key, Fact::ConversationUnlabelled(ConversationLabel { label, by }))
        .await
}
