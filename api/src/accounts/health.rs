//! `GET /v1/accounts/{id}/health`.

use axum::Json;
use schemas::Channel;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::diagnosis::{Diagnosis, diagnose};
use super::{AccountQuery, find};
use crate::app::State;
use crate::auth::Caller;
use crate::conversations::{self, rows::Figures};
use crate::extract::{Id, Query};
use crate::problem::Problem;
use crate::time::{Time, millis};
use crate::worker_views::{self, Upkeep, completeness as views};

/// How an account does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountHealth {
    /// The account.
    pub id: String,
    /// The channel.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// Whether it can be used: `active`, `stopped` or `disconnected`.
    pub state: String,
    /// Why it cannot.
    pub state_reason: Option<String>,
    /// Since when.
    pub state_since: Time,
    /// What to do next; null where nothing is to be done.
    pub diagnosis: Option<Diagnosis>,
    /// Its token.
    pub token: TokenHealth,
    /// What the token may do; null while Meta has not shown it.
    pub scopes: Option<Scopes>,
    /// The webhook fields as Meta has them; null while it has not been asked.
    pub webhook_fields: Option<Fields>,
    /// When the last webhook of each kind of event came, such as `message.received`.
    #[schema(value_type = Object)]
    pub last_webhooks: Value,
    /// The ids and the handle by which Meta names it.
    pub ids: Ids,
    /// The latest message in either direction.
    pub last_message_at: Option<Time>,
    /// Conversations.
    pub conversations: i64,
    /// Conversations with unread messages.
    pub unread_conversations: i64,
    /// Whether the log has what Graph shows.
    pub completeness: Completeness,
    /// What the worker knows beside: budget, frozen sends. Null while it has reported nothing.
    #[schema(value_type = Option<Object>)]
    pub worker: Option<Value>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenHealth {
    /// Whether Meta accepts it; null while it has not been asked.
    pub valid: Option<bool>,
    /// When it ends; null where that is not known, or never.
    pub expires_at: Option<Time>,
    /// When Meta last accepted it.
    pub accepted_at: Option<Time>,
    /// When it was last replaced by a new one.
    pub refreshed_at: Option<Time>,
    /// Why the last look or refresh failed, in Meta's numbers.
    pub error: Option<String>,
}

/// What a token may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scopes {
    /// Granted.
    pub granted: Vec<String>,
    /// Not granted: `scope`, `feature`, `costs`.
    #[schema(value_type = Vec<Object>)]
    pub missing: Value,
}

/// Webhook fields, as `object/field`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fields {
    /// Subscribed.
    pub subscribed: Vec<String>,
    /// Refused by Meta: `object`, `field`, `code`, `costs`.
    #[schema(value_type = Vec<Object>)]
    pub refused: Vec<Value>,
    /// Taken by Meta, and not there all the same.
    #[schema(value_type = Vec<Object>)]
    pub missing: Vec<Value>,
}

/// How Meta names an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ids {
    /// Other ids.
    pub aliases: Vec<String>,
    /// The linked Page.
    pub page_id: Option<String>,
    /// The handle.
    pub handle: Option<String>,
}

/// Read how an account does
///
/// What is known here, without asking Meta: `hookline accounts check` does that.
///
/// # Errors
/// 404, 409.
#[utoipa::path(get, path = "/v1/accounts/{id}/health", tag = "accounts", params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, body = AccountHealth), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn health(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<AccountQuery>,
) -> Result<Json<AccountHealth>, Problem> {
    let account = find(&app.pool, &caller, &id, query.channel).await?;
    let Figures { last_message_at, conversations, unread_conversations } =
        conversations::rows::figures(&app.pool, account.channel, &account.id).await?;
    let worker = worker_views::account_health(&app.pool, &account).await?;
    let upkeep = worker_views::upkeep(&app.pool, &account).await?.unwrap_or_default();
    let standing = views::standing(&app.pool, &account).await?.unwrap_or_default();
    let lost = standing.lost_field.as_deref();
    let diagnosis = diagnose(&account.state, &upkeep, lost, runtime::now());
    let completeness = Completeness::of(standing, views::hours(&app.pool, &account).await?);
    let ids =
        Ids { aliases: account.aliases, page_id: account.page_id, handle: upkeep.handle.clone() };
    Ok(Json(AccountHealth {
        diagnosis,
        token: token(&account.state, &upkeep),
        scopes: upkeep.scopes.map(|granted| Scopes {
            granted,
            missing: upkeep.scopes_missing.unwrap_or_else(|| Value::Array(Vec::new())),
        }),
        webhook_fields: upkeep.fields.map(fields),
        last_webhooks: with_millis(upkeep.seen.unwrap_or_else(|| Value::Object(Map::new()))),
        ids,
        completeness,
        worker: worker.map(with_millis),
        id: account.id,
        channel: account.channel,
        state: account.state,
        state_reason: account.state_reason,
        state_since: account.state_since,
        last_message_at,
        conversations,
        unread_conversations,
    }))
}

fn token(state: &str, upkeep: &Upkeep) -> TokenHealth {
    let valid = match state {
        "active" => upkeep.token_accepted_at.map(|_| true),
        _ => Some(false),
    };
    TokenHealth {
        valid,
        expires_at: upkeep.token_ends,
        accepted_at: upkeep.token_accepted_at,
        refreshed_at: upkeep.refreshed_at,
        error: upkeep.refresh_error.clone().or_else(|| upkeep.look_error.clone()),
    }
}

fn fields(rows: Vec<Value>) -> Fields {
    let mut all = Fields { subscribed: Vec::new(), refused: Vec::new(), missing: Vec::new() };
    for row in rows {
        match row["state"].as_str() {
            Some("subscribed") => {
                let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                all.subscribed.push(format!("{}/{}", text("object"), text("field")));
            }
            Some("refused") => all.refused.push(row),
            _ => all.missing.push(row),
        }
    }
    all
}

/// The fields of an object with their times as the wire has them.
fn with_millis(mut row: Value) -> Value {
    for value in row.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if let Value::String(text) = value {
            *text = millis(std::mem::take(text));
        }
    }
    row
}
