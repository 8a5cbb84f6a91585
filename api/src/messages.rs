//! `GET /v1/conversations/{id}/messages`; answering is in [`send`].

use axum::Json;
use schemas::command::{Action, SyncData};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::{Caller, Scope};
use crate::contacts::{self, Target};
use crate::etag::ETag;
use crate::extract::{Id, Query};
use crate::from_graph::{self, Wanted};
use crate::layers;
use crate::list::{Page, scope};
use crate::problem::Problem;

mod new;
mod outcome;
mod rows;
pub(crate) mod send;
mod window;

use rows::Message;

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
    /// `true`: first import the conversation from Graph. Needs a token that may write.
    pub sync: Option<bool>,
}

/// List the messages of a conversation
///
/// Newest first. With `sync=true` the conversation is imported from Graph first; when that takes longer than 20 s, what is known is
/// listed, and what comes later follows on `/v1/live`. An import is a command: it needs the scope `write`. Requests for a conversation that
/// is being imported share that import.
///
/// # Errors
/// 403 `insufficient_scope` for `sync=true` with a token that may only read, 404 without such a conversation, 422 naming the parameter, 502 `sync_failed` with Meta's answer.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = String, Path, description = "`cnv_…`"), MessagesQuery),
    responses((status = 200, body = Messages, headers(("ETag" = String, description = "For `If-Match` of a reply."))), (status = 403, description = "`insufficient_scope`: `sync=true` with a token that may only read", body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<MessagesQuery>,
) -> Result<(ETag, Json<Messages>), Problem> {
    let wants_sync = query.sync == Some(true);
    if wants_sync {
        layers::allow(&caller, Scope::Write)?;
    }
    let target = contacts::target(&app.pool, &caller, &id).await?;
    if wants_sync {
        let Target { channel, account_id: account, contact_id, .. } = target;
        let action = Action::Sync(SyncData { contact_id: Some(contact_id.clone()), since: None });
        let wanted = Wanted { channel, account, contact: Some(contact_id), action };
        from_graph::sync(&app, &caller, &id, wanted).await?;
    }
    let etag = app.etag().await?;
    let scope = scope("messages", &[("conversation_id", Some(&id))]);
    let page = Page::read(&app.cursors, &caller, scope, query.cursor.as_deref(), query.limit)?;
    let rows = rows::page(&app.pool, &id, &page).await?;
    let page = page.cut(&app.cursors, rows);
    Ok((etag, Json(Messages { messages: page.rows, next_cursor: page.next_cursor })))
}
