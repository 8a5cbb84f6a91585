//! `GET`, `POST` and `DELETE /v1/blocklist`: contacts left out of lists. Still recorded, and reversible; nothing is sent to Meta.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::facts::BlockMark;
use schemas::ids::may_be_contact;
use schemas::{AccountId, Channel, ContactId, Fact};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::act::Act;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Body, IdempotencyKey, Query, check_text};
use crate::list::{Page, Total};
use crate::problem::Problem;
use crate::{accounts, contacts, worker_views};

mod rows;

use rows::{Blocked, BlocklistQuery};

/// A page of the block list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Blocklist {
    /// Newest first.
    pub blocklist: Vec<Blocked>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// List the blocked contacts
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/blocklist", tag = "contacts", params(BlocklistQuery),
    responses((status = 200, body = Blocklist), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<BlocklistQuery>,
) -> Result<Json<Blocklist>, Problem> {
    query.reach = caller.reach.clone();
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let total = app.totals.get(page.scope(), rows::total(&app.pool, &query));
    let (rows, total) = tokio::try_join!(rows::page(&app.pool, &query, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Blocklist { blocklist: page.rows, total, next_cursor: page.next_cursor }))
}

/// Whom: by conversation, or by contact. Channel and account may be left out where only one account knows the contact.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(crate) struct Block {
    /// The conversation.
    pub conversation_id: Option<String>,
    /// The person.
    pub contact_id: Option<String>,
    /// The channel.
    #[schema(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// The account.
    pub account_id: Option<String>,
    /// A name to show in the list.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Whom to take off the list: the same fields, in the query or in the body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnblockQuery {
    /// The conversation.
    pub conversation_id: Option<String>,
    /// The person.
    pub contact_id: Option<String>,
    /// The channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// The account.
    pub account_id: Option<String>,
}

/// Block a contact
///
/// # Errors
/// 404 without such a conversation, contact or account; 409 `ambiguous`; 422 naming the field.
#[utoipa::path(post, path = "/v1/blocklist", tag = "contacts", request_body = Block,
    responses((status = 200, body = Blocked), (status = 202, description = "Stored, not projected yet"), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn block(
    axum::extract::State(app): State,
    caller: Caller,
    key: IdempotencyKey,
    Body(body): Body<Block>,
) -> Result<Response, Problem> {
    for (field, text) in [("name", &body.name), ("reason", &body.reason)] {
        if let Some(text) = text {
            check_text(field, text, 500)?;
        }
    }
    if let Some(id) = &body.contact_id
        && !may_be_contact(id)
    {
        return Err(Problem::invalid("contact_id", "an id of a person has 10 to 32 digits"));
    }
    let fact = BlockMark {
        name: body.name.clone(),
        reason: body.reason.clone(),
        by: Some(caller.name.clone()),
    };
    let whom = whom(&app, &caller, &body).await?;
    refuse_own(&app, &whom).await?;
    set(&app, &caller, key, whom, Fact::ContactBlocked(fact)).await
}

/// Take a contact off the block list
///
/// # Errors
/// As for blocking.
#[utoipa::path(delete, path = "/v1/blocklist", tag = "contacts", params(UnblockQuery),
    responses((status = 204, description = "Off the list"), (status = 202, description = "Stored, not projected yet"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn unblock(
    axum::extract::State(app): State,
    caller: Caller,
    key: IdempotencyKey,
    Query(query): Query<UnblockQuery>,
    Body(body): Body<Block>,
) -> Result<Response, Problem> {
    let body = Block {
        conversation_id: query.conversation_id.or(body.conversation_id),
        contact_id: query.contact_id.or(body.contact_id),
        channel: query.channel.or(body.channel),
        account_id: query.account_id.or(body.account_id),
        ..Block::default()
    };
    let fact = BlockMark { by: Some(caller.name.clone()), ..BlockMark::default() };
    let whom = whom(&app, &caller, &body).await?;
    set(&app, &caller, key, whom, Fact::ContactUnblocked(fact)).await
}

/// An account is no contact of its own, under whichever of its ids.
async fn refuse_own(app: &App, (channel, account, contact): &Whom) -> Result<(), Problem> {
    let called = worker_views::accounts_called(&app.pool, contact.as_str(), Some(*channel)).await?;
    if called.iter().any(|own| own.id == account.as_str()) {
        return Err(Problem::invalid("contact_id", "this is the account itself"));
    }
    Ok(())
}

type Whom = (Channel, AccountId, ContactId);

async fn whom(app: &App, caller: &Caller, body: &Block) -> Result<Whom, Problem> {
    match (&body.conversation_id, &body.contact_id) {
        (Some(id), None) => {
            let target = contacts::target(&app.pool, caller, id).await?;
            Ok((target.channel, target.account_id, target.contact_id))
        }
        (None, Some(id)) if id.is_empty() => {
            Err(Problem::invalid("contact_id", "must not be empty"))
        }
        (None, Some(id)) => {
            let account = body.account_id.as_deref();
            if let Some(contact) =
                contacts::find(&app.pool, caller, id, body.channel, account).await?
            {
                return Ok((contact.channel, contact.account_id.into(), contact.id.into()));
            }
            // Somebody who never wrote may be blocked beforehand, by an account of ours.
            let (Some(channel), Some(account)) = (body.channel, account) else {
                return Err(Problem::unknown("contact", id));
            };
            let account = accounts::find(&app.pool, caller, account, Some(channel)).await?;
            Ok((channel, account.id.into(), id.as_str().into()))
        }
        _ => Err(Problem::invalid("contact_id", "give either contact_id or conversation_id")),
    }
}

async fn set(
    app: &App,
    caller: &Caller,
    key: IdempotencyKey,
    whom: Whom,
    fact: Fact,
) -> Result<Response, Problem> {
    let (channel, account, contact) = whom;
    let blocks = matches!(fact, Fact::ContactBlocked(_));
    let act = Act {
        caller,
        key: key.0,
        channel,
        account: account.clone(),
        contact: contact.clone(),
        time: runtime::now(),
        fact,
    };
    let projected = app.act(act).await?;
    let row = rows::one(&app.pool, channel, &account, &contact).await?;
    Ok(match (blocks, projected, row) {
        (true, true, Some(row)) => (StatusCode::OK, Json(row)).into_response(),
        (false, true, _) => StatusCode::NO_CONTENT.into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    })
}
