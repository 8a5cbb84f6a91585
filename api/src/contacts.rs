//! `GET /v1/contacts/{id}`: a person as one account knows them.

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::extract::{Id, Query};
use crate::list::{Time, equals};
use crate::problem::Problem;

/// A person.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Contact {
    /// Meta's id of the person, as this account knows them.
    pub id: String,
    /// `instagram` or `messenger`.
    pub channel: String,
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
pub struct ContactQuery {
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
    responses((status = 200, body = Contact), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 503, body = Problem)))]
pub async fn show(
    axum::extract::State(app): State,
    Id(id): Id,
    Query(query): Query<ContactQuery>,
) -> Result<Json<Contact>, Problem> {
    find(&app.pool, &id, query.channel, query.account_id.as_deref())
        .await?
        .map(Json)
        .ok_or_else(|| Problem::unknown("contact", &id))
}

/// Finds the one contact with this id.
///
/// # Errors
/// 409 when several accounts know the id.
pub async fn find(
    pool: &PgPool,
    id: &str,
    channel: Option<Channel>,
    account: Option<&str>,
) -> Result<Option<Contact>, Problem> {
    let mut query = QueryBuilder::new(
        "select c.id, c.channel, c.account_id, c.conversation_id, c.name, c.username, c.avatar_url, c.placeholder, c.enriched, \
                c.profile, c.enriched_at, c.blocked from inbox.contacts c where c.id = ",
    );
    query.push_bind(id.to_owned());
    equals(&mut query, "c.channel", channel.map(Channel::as_str));
    equals(&mut query, "c.account_id", account);
    query.push(" order by c.channel, c.account_id limit 10");
    let mut found: Vec<Contact> = query.build_query_as().fetch_all(pool).await?;
    if found.len() > 1 {
        let choices: Vec<_> =
            found.iter().map(|one| format!("{}/{}", one.channel, one.account_id)).collect();
        return Err(Problem::ambiguous("contacts", &choices));
    }
    Ok(found.pop())
}
