//! `GET /v1/contacts/{id}`: a person as one account knows them; and the statements over `inbox.contacts`.

use axum::Json;
use schemas::{AccountId, Channel, ContactId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::Caller;
use crate::extract::{Id, Query};
use crate::problem::{Problem, only};
use crate::time::Time;

/// A person.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Contact {
    /// Meta's id of the person, as this account knows them.
    pub id: String,
    /// `instagram` or `messenger`.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// The conversation with this person.
    pub conversation_id: String,
    /// The profile's name, or the placeholder.
    pub name: String,
    /// The Instagram handle.
    pub username: Option<String>,
    /// A link that stops working within days.
    pub avatar_url: Option<String>,
    /// What the name was before the profile was read.
    pub placeholder: String,
    /// Whether the profile was read.
    pub enriched: bool,
    /// The profile: only the fields Meta allowed.
    #[schema(value_type = Option<Object>)]
    pub profile: Option<Value>,
    /// When it was read.
    pub enriched_at: Option<Time>,
    /// On the block list.
    pub blocked: bool,
}

/// Which of several.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContactQuery {
    /// As known on this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// As known by this account.
    pub account_id: Option<String>,
}

/// Read one contact
///
/// # Errors
/// 404 when there is none; 409 `ambiguous` when several accounts know the id.
#[utoipa::path(get, path = "/v1/contacts/{id}", tag = "contacts",
    params(("id" = String, Path, description = "Meta's id of the person"), ContactQuery),
    responses((status = 200, body = Contact), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ContactQuery>,
) -> Result<Json<Contact>, Problem> {
    find(&app.pool, &caller, &id, query.channel, query.account_id.as_deref())
        .await?
        .map(Json)
        .ok_or_else(|| Problem::unknown("contact", &id))
}

/// Finds the one contact with this id among those of the caller's accounts.
///
/// # Errors
/// 409 when several accounts know the id.
pub(crate) async fn find(
    pool: &PgPool,
    caller: &Caller,
    id: &str,
    channel: Option<Channel>,
    account: Option<&str>,
) -> Result<Option<Contact>, Problem> {
    let found = sqlx::query_as::<_, Contact>(
        "select c.id, c.channel, c.account_id, c.conversation_id, c.name, c.username, c.avatar_url, c.placeholder, c.enriched,
                c.profile, c.enriched_at, c.blocked
         from inbox.contacts c
         where c.id = $1 and ($2::text is null or c.channel = $2) and ($3::text[] is null or c.account_id = any($3))
         order by c.channel, c.account_id limit 10",
    )
    .bind(id)
    .bind(channel)
    .bind(caller.reach.within(account))
    .fetch_all(pool)
    .await?;
    only("contacts", found, |one: &Contact| format!("{}/{}", one.channel, one.account_id))
}

/// What is needed in order to act on a conversation.
#[derive(FromRow)]
pub(crate) struct Target {
    pub channel: Channel,
    pub account_id: AccountId,
    pub contact_id: ContactId,
    /// Until when Meta takes replies; `None`: the person never opened a window.
    pub window_expires_at: Option<Timestamp>,
}

/// Finds the conversation to act on: also one of a person of whom no message is known yet.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn target(
    pool: &PgPool,
    caller: &Caller,
    conversation_id: &str,
) -> Result<Target, Problem> {
    let found: Option<Target> = sqlx::query_as(
        "select k.channel, k.account_id, k.id as contact_id, c.window_expires_at
         from inbox.contacts k left join inbox.conversations c on c.id = k.conversation_id
         where k.conversation_id = $1",
    )
    .bind(conversation_id)
    .fetch_optional(pool)
    .await?;
    found
        .filter(|target| caller.reach.has(target.account_id.as_str()))
        .ok_or_else(|| Problem::unknown("conversation", conversation_id))
}
