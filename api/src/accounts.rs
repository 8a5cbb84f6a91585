//! `GET /v1/accounts`, their health and connection, and importing their conversations.

mod completeness;
mod diagnosis;
pub(crate) mod health;
pub(crate) mod upkeep;

use axum::Json;
use schemas::command::{Action, SyncData};
use schemas::{Channel, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand};
use crate::extract::{Body, Id, IdempotencyKey, Query, wait_of};
use crate::list::{Page, Total, scope};
use crate::problem::{Problem, only};
use crate::worker_views::{self, Account};

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accounts {
    /// Newest first.
    pub accounts: Vec<Account>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which accounts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// List the accounts
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", params(AccountsQuery),
    responses((status = 200, body = Accounts), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<Accounts>, Problem> {
    let scope = scope("accounts", &[("channel", query.channel.map(Channel::as_str))]);
    let page = Page::read(&app.cursors, &caller, scope, query.cursor.as_deref(), query.limit)?;
    let ids = caller.reach.within(None);
    let total = worker_views::accounts_total(&app.pool, query.channel, ids.as_deref());
    let total = app.totals.get(page.scope(), total);
    let rows = worker_views::accounts(&app.pool, query.channel, ids.as_deref(), &page);
    let (rows, total) = tokio::try_join!(rows, total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Accounts { accounts: page.rows, total, next_cursor: page.next_cursor }))
}

/// Finds an account by id, alias or linked Page: an id before an alias, an alias before a Page.
///
/// # Errors
/// 404 when the caller sees none; 409 `ambiguous` when both channels have one.
pub(crate) async fn find(
    pool: &PgPool,
    caller: &Caller,
    id: &str,
    channel: Option<Channel>,
) -> Result<Account, Problem> {
    let mut found = worker_views::accounts_called(pool, id, channel).await?;
    found.retain(|account| caller.reach.has(&account.id));
    let rank = |account: &Account| match account {
        account if account.id == id => 0,
        account if account.aliases.iter().any(|alias| alias == id) => 1,
        _ => 2,
    };
    let best = found.iter().map(rank).min();
    found.retain(|account| Some(rank(account)) == best);
    only("accounts", found, |one| format!("{}/{}", one.channel, one.id))?
        .ok_or_else(|| Problem::unknown("account", id))
}

/// Which of two channels.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountQuery {
    /// On this channel, where both have an account with this id.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// How long to wait for the outcome, such as `5s`; at most `30s`.
    pub wait: Option<String>,
}

/// What of an account is imported.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncRequest {
    /// Only conversations in which something happened since; all of them where absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// Import the conversations of an account
///
/// Contacts with placeholders and their newest messages. Safe to repeat; nothing imported is answered automatically. How far it has come
/// stands in `GET /v1/commands/{id}`: `synced`, `failed`, `skipped`, `messages`, and the `reasons` of those that were not imported.
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/accounts/{id}/sync", tag = "accounts", request_body = SyncRequest, params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn sync(
    state: State,
    caller: Caller,
    id: Id,
    query: Query<AccountQuery>,
    key: IdempotencyKey,
    Body(SyncRequest { since }): Body<SyncRequest>,
) -> Result<CommandState, Problem> {
    let action = Action::Sync(SyncData { contact_id: None, since });
    ask(state, &caller, id, query, key, action).await
}

/// A command that is about an account as a whole.
async fn ask(
    axum::extract::State(app): State,
    caller: &Caller,
    Id(id): Id,
    Query(query): Query<AccountQuery>,
    key: IdempotencyKey,
    action: Action,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let account = find(&app.pool, caller, &id, query.channel).await?;
    let new = NewCommand {
        caller,
        key: key.0,
        channel: account.channel,
        account: account.id.into(),
        contact: None,
        action,
    };
    app.command(new, wait).await
}
