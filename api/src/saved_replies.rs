//! `GET`, `POST`, `PUT` and `DELETE /v1/saved_replies`: texts that people answer with often. They are the api's own rows: no event, no command.
//!
//! One is for all accounts, or for some. A token of some accounts sees those that are for one of its accounts or for all, and changes those
//! that are for its accounts alone.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, State};
use crate::auth::{Caller, Reach};
use crate::extract::{Body, Id, IdempotencyKey, Query, check_text, name_of};
use crate::list::{Page, scope};
use crate::problem::Problem;
use crate::publish::key_or_unique;
use crate::requests::digest;
use crate::worker_views;

mod rows;

use rows::{NewSavedReply, SavedReply};

/// Longest name, characters.
const NAME_MAX: usize = 100;
/// Longest text, characters.
const TEXT_MAX: usize = 10_000;
/// Most accounts that one names.
const ACCOUNTS_MAX: usize = 100;

/// A page of saved replies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedReplies {
    /// Newest first.
    pub saved_replies: Vec<SavedReply>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which saved replies.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SavedRepliesQuery {
    /// Only those for this account, or for all.
    pub account_id: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// What was asked for, checked: texts fit, and the caller sees the accounts.
///
/// # Errors
/// 404 for an account that the caller does not see, 422 naming the field.
async fn checked(
    app: &App,
    caller: &Caller,
    mut new: NewSavedReply,
) -> Result<NewSavedReply, Problem> {
    new.name = name_of("name", &new.name, NAME_MAX)?;
    check_text("text", &new.text, TEXT_MAX)?;
    match (&mut new.account_ids, &caller.reach) {
        (Some(ids), _) => {
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() || ids.len() > ACCOUNTS_MAX {
                let many = format!("1 to {ACCOUNTS_MAX} accounts; leave it out for all");
                return Err(Problem::invalid("account_ids", many));
            }
            for id in ids {
                let known = worker_views::accounts_called(&app.pool, id, None).await?;
                if !known.iter().any(|one| one.id == *id && caller.reach.has(id)) {
                    return Err(Problem::unknown("account", id));
                }
            }
        }
        // What is for all accounts would be for others', too.
        (None, Reach::Only(ids)) => new.account_ids = Some(ids.iter().cloned().collect()),
        (None, Reach::All) => {}
    }
    Ok(new)
}

/// As the caller may see it: without the accounts that are not theirs.
fn shown(mut reply: SavedReply, caller: &Caller) -> SavedReply {
    if let Some(ids) = &mut reply.account_ids {
        ids.retain(|id| caller.reach.has(id));
    }
    reply
}

/// List the saved replies
///
/// # Errors
/// 422 naming the parameter, 503.
#[utoipa::path(get, path = "/v1/saved_replies", tag = "messages", params(SavedRepliesQuery),
    responses((status = 200, body = SavedReplies), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<SavedRepliesQuery>,
) -> Result<Json<SavedReplies>, Problem> {
    let account = query.account_id.as_deref();
    let scope = scope("saved_replies", &[("account_id", account)]);
    let page = Page::read(&app.cursors, &caller, scope, query.cursor.as_deref(), query.limit)?;
    let rows = rows::page(&app.pool, caller.reach.within(account), &page).await?;
    let page = page.cut(&app.cursors, rows);
    let saved_replies = page.rows.into_iter().map(|reply| shown(reply, &caller)).collect();
    Ok(Json(SavedReplies { saved_replies, next_cursor: page.next_cursor }))
}

/// Save a reply
///
/// # Errors
/// 404 for an account that the token does not see, 409 `key_reused`, 422 naming the field, 503.
#[utoipa::path(post, path = "/v1/saved_replies", tag = "messages", request_body = NewSavedReply,
    responses((status = 201, body = SavedReply), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    axum::extract::State(app): State,
    caller: Caller,
    key: IdempotencyKey,
    Body(body): Body<NewSavedReply>,
) -> Result<Response, Problem> {
    let new = checked(&app, &caller, body).await?;
    let unique = key_or_unique(key.0.as_deref());
    let parts = serde_json::json!(["saved_reply", caller.name, unique]);
    let mut hex = schemas::ids::sha256_hex(parts.to_string().as_bytes());
    hex.truncate(32);
    let accounts = serde_json::json!(new.account_ids).to_string();
    let asked = digest(&["saved_reply", &new.name, &new.text, &accounts]);
    let id = format!("svd_{hex}");
    let reply = rows::create(&app.pool, &id, &new, &asked).await?;
    let reply = reply.ok_or_else(Problem::key_reused)?;
    Ok((StatusCode::CREATED, Json(shown(reply, &caller))).into_response())
}

/// Change a saved reply
///
/// All fields are replaced.
///
/// # Errors
/// 404 also where it is for accounts that the token does not see, 422 naming the field, 503.
#[utoipa::path(put, path = "/v1/saved_replies/{id}", tag = "messages", request_body = NewSavedReply,
    params(("id" = String, Path, description = "`svd_…`")),
    responses((status = 200, body = SavedReply), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn change(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<NewSavedReply>,
) -> Result<Json<SavedReply>, Problem> {
    let new = checked(&app, &caller, body).await?;
    let reply = rows::change(&app.pool, &id, caller.reach.within(None), &new).await?;
    reply.map(|reply| Json(shown(reply, &caller))).ok_or_else(|| unknown(&id))
}

/// Delete a saved reply
///
/// # Errors
/// 404 also where it is for accounts that the token does not see, 503.
#[utoipa::path(delete, path = "/v1/saved_replies/{id}", tag = "messages", params(("id" = String, Path, description = "`svd_…`")),
    responses((status = 204, description = "Deleted"), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let gone = rows::delete(&app.pool, &id, caller.reach.within(None)).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(unknown(&id)) }
}

fn unknown(id: &str) -> Problem {
    Problem::unknown("saved reply", id)
}
