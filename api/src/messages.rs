//! `GET /v1/conversations/{id}/messages`; answering is in [`send`].

use std::time::Duration;

use axum::Json;
use schemas::command::{Action, SyncData};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, State};
use crate::auth::Caller;
use crate::commands::NewCommand;
use crate::contacts::{self, Target};
use crate::extract::{Id, Query};
use crate::list::{Page, scope};
use crate::problem::Problem;
use crate::status::CommandStatus;

mod new;
mod outcome;
mod rows;
pub(crate) mod send;
mod window;

use rows::Message;

/// How long `sync=true` waits for Graph.
const SYNC_WAIT: Duration = Duration::from_secs(20);

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Messages {
    /// Newest first.
    pub messages: Vec<Message>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessagesQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
    /// `true`: first import the conversation from Graph.
    pub sync: Option<bool>,
}

/// List the messages of a conversation
///
/// Newest first. With `sync=true` the conversation is imported from Graph first; when that takes longer than 20 s, what is known is
/// listed, and what comes later follows on `/v1/live`.
///
/// # Errors
/// 404 without such a conversation, 422 naming the parameter, 502 `sync_failed` with Meta's answer.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = String, Path, description = "`cnv_…`"), MessagesQuery),
    responses((status = 200, body = Messages), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<Messages>, Problem> {
    let target = contacts::target(&app.pool, &id).await?;
    if query.sync == Some(true) {
        sync(&app, &caller, target).await?;
    }
    let scope = scope("messages", &[("conversation_id", Some(&id))]);
    let page = Page::read(&app.cursors, scope, query.cursor.as_deref(), query.limit)?;
    let rows = rows::page(&app.pool, &id, &page).await?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Messages { messages: page.rows, next_cursor: page.next_cursor }))
}

/// Imports the conversation from Graph.
async fn sync(app: &App, caller: &Caller, target: Target) -> Result<(), Problem> {
    let Target { channel, account_id: account, contact_id, .. } = target;
    let new = NewCommand {
        caller,
        key: None,
        channel,
        account,
        contact: Some(contact_id.clone()),
        action: Action::Sync(SyncData { contact_id: Some(contact_id) }),
    };
    let state = app.command(new, SYNC_WAIT).await?;
    match state.status {
        CommandStatus::Queued | CommandStatus::Done => Ok(()),
        CommandStatus::Failed | CommandStatus::Unknown => {
            Err(Problem::sync_failed(state.error.map_or_else(
                || "the outcome is not known".to_owned(),
                |error| format!("{} ({}): {}", error.class, error.code, error.message),
            )))
        }
    }
}
