//! `GET` and `POST /v1/conversations/{id}/notes`: for people on our side. A note is an event and a row, never a command: it has no way to Meta.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::facts::ConversationNoted;
use schemas::{AccountId, Channel, Fact};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::act::Act;
use crate::app::State;
use crate::auth::Caller;
use crate::contacts;
use crate::extract::{Body, Id, IdempotencyKey, Query, check_text};
use crate::list::{Page, scope};
use crate::operate::PageQuery;
use crate::problem::Problem;
use crate::publish::key_or_unique;
use crate::time::Time;

mod rows;

use rows::Note;

/// Longest note, characters.
const NOTE_MAX: usize = 10_000;

/// A page of notes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Notes {
    /// Newest first.
    pub notes: Vec<Note>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// List the notes about a conversation
///
/// # Errors
/// 404 without such a conversation, 422 naming the parameter, 503.
#[utoipa::path(get, path = "/v1/conversations/{id}/notes", tag = "conversations",
    params(("id" = String, Path, description = "`cnv_…`"), PageQuery),
    responses((status = 200, body = Notes), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<Notes>, Problem> {
    contacts::target(&app.pool, &caller, &id).await?;
    let scope = scope("notes", &[("conversation_id", Some(&id))]);
    let page = Page::read(&app.cursors, &caller, scope, query.cursor.as_deref(), query.limit)?;
    let rows = rows::page(&app.pool, &id, &page).await?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Notes { notes: page.rows, next_cursor: page.next_cursor }))
}

/// A note to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// At most 10,000 characters.
    #[schema(example = "Waits for the invoice of October.")]
    pub text: String,
}

/// The id of a note: the same request makes the same note.
fn note_id(channel: Channel, account: &AccountId, token: &str, key: &str) -> String {
    let key = serde_json::json!([channel, account, "note", token, key]);
    let mut hex = schemas::ids::sha256_hex(key.to_string().as_bytes());
    hex.truncate(32);
    format!("note_{hex}")
}

/// Write a note about a conversation
///
/// For people on our side: nothing of it goes to Meta. It is erased with the person.
///
/// # Errors
/// 404, 409 `key_reused`, 422 naming `text`, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/notes", tag = "conversations", request_body = NewNote,
    params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 201, body = Note), (status = 202, description = "Stored, not projected yet", body = Note),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(body): Body<NewNote>,
) -> Result<Response, Problem> {
    check_text("text", &body.text, NOTE_MAX)?;
    let target = contacts::target(&app.pool, &caller, &id).await?;
    let unique = key_or_unique(key.0.as_deref());
    let note_id = note_id(target.channel, &target.account_id, &caller.name, &unique);
    let (time, by) = (runtime::now(), Some(caller.name.clone()));
    let note = Note {
        id: note_id.clone(),
        text: body.text.clone(),
        by: by.clone(),
        created_at: Time(time.to_datetime()),
    };
    let act = Act {
        caller: &caller,
        key: key.0,
        channel: target.channel,
        account: target.account_id,
        contact: target.contact_id,
        time,
        fact: Fact::ConversationNoted(ConversationNoted { note_id, text: body.text, by }),
    };
    let projected = app.act(act).await?;
    // A repeat answers with the first one's time.
    let stored = rows::one(&app.pool, &note.id).await?.filter(|_| projected);
    let status = if stored.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(stored.unwrap_or(note))).into_response())
}
