//! Routes of acts on a conversation: read, archive, unarchive, assign, and typing.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::command::{Action, SenderActionData};
use schemas::facts::{ConversationAssigned, ConversationMark, ConversationRead};
use schemas::{Fact, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::act::Act;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand};
use crate::contacts;
use crate::conversations::{self, Conversation};
use crate::extract::{Body, Id, IdempotencyKey, Nothing, check_text};
use crate::problem::Problem;

/// 200 once it is projected, 202 where that takes longer than 2 s.
pub(crate) fn answer<T: Serialize>(projected: bool, body: T) -> Response {
    (if projected { StatusCode::OK } else { StatusCode::ACCEPTED }, Json(body)).into_response()
}

/// Publishes an act on a conversation, and answers with the conversation as it is then.
///
/// # Errors
/// 404, 409 `key_reused`, 503.
pub(crate) async fn mark(
    app: &App,
    caller: &Caller,
    id: &str,
    key: IdempotencyKey,
    mut fact: Fact,
) -> Result<Response, Problem> {
    let conversation = conversations::load(&app.pool, caller, id).await?;
    let last = Some(Timestamp::from(conversation.last_message_at.0));
    match &mut fact {
        Fact::ConversationRead(read) => read.last_message_at = last,
        Fact::ConversationSnoozed(snooze) => snooze.last_message_at = last,
        _ => {}
    }
    let act = Act {
        caller,
        key: key.0,
        channel: conversation.channel,
        account: conversation.account_id,
        contact: conversation.contact.id,
        time: runtime::now(),
        fact,
    };
    let projected = app.act(act).await?;
    Ok(answer(projected, conversations::load(&app.pool, caller, id).await?))
}

fn by(caller: &Caller) -> ConversationMark {
    ConversationMark { by: Some(caller.name.clone()) }
}

/// Mark as read
///
/// Everything the person has written so far counts as read. Meta is not told.
///
/// # Errors
/// 404, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/read", tag = "conversations", params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem)))]
pub(crate) async fn read(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    let by = Some(caller.name.clone());
    let read = ConversationRead { by, last_message_at: None };
    mark(&app, &caller, &id, key, Fact::ConversationRead(read)).await
}

/// Archive
///
/// # Errors
/// 404, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/archive", tag = "conversations", params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem)))]
pub(crate) async fn archive(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    mark(&app, &caller, &id, key, Fact::ConversationArchived(by(&caller))).await
}

/// Take out of the archive
///
/// # Errors
/// 404, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/unarchive", tag = "conversations", params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem)))]
pub(crate) async fn unarchive(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    mark(&app, &caller, &id, key, Fact::ConversationUnarchived(by(&caller))).await
}

/// To whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    /// A name of your own choice; null: to nobody.
    #[serde(deserialize_with = "present")]
    #[schema(required)]
    pub assigned_to: Option<String>,
}

/// Null is an answer, leaving it out is a mistake.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(reader)
}

/// Assign
///
/// # Errors
/// 404, 422 naming `assigned_to`, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/assign", tag = "conversations", request_body = Assign,
    params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn assign(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(body): Body<Assign>,
) -> Result<Response, Problem> {
    if let Some(name) = &body.assigned_to {
        check_text("assigned_to", name, 200)?;
    }
    let fact =
        ConversationAssigned { assigned_to: body.assigned_to, by: Some(caller.name.clone()) };
    mark(&app, &caller, &id, key, Fact::ConversationAssigned(fact)).await
}

/// What to show the person.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typing {
    /// `typing_on` (unless said), `typing_off` or `mark_seen`.
    pub action: Option<String>,
}

/// Show that somebody types
///
/// One try, without a promise: Meta shows it for 20 seconds or until the next message.
///
/// # Errors
/// 404, 422 naming `action`, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/typing", tag = "conversations", request_body = Typing,
    params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 202, body = CommandState), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn typing(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(body): Body<Typing>,
) -> Result<CommandState, Problem> {
    let target = contacts::target(&app.pool, &caller, &id).await?;
    let new = NewCommand {
        caller: &caller,
        key: key.0,
        channel: target.channel,
        account: target.account_id,
        contact: Some(target.contact_id),
        action: Action::SenderAction(SenderActionData {
            action: body.action.unwrap_or_else(|| "typing_on".to_owned()),
        }),
    };
    app.command(new, std::time::Duration::ZERO).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_an_answer_and_nothing_is_not() {
        let read = |text: &str| serde_json::from_str::<Assign>(text).map(|body| body.assigned_to);
        assert_eq!(read(r#"{"assigned_to": null}"#).unwrap(), None);
        assert_eq!(read(r#"{"assigned_to": "Ann"}"#).unwrap().as_deref(), Some("Ann"));
        assert!(read("{}").is_err());
    }
}
