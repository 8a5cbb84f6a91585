//! `GET /v1/conversations` and one of them.

use std::borrow::Cow;

use axum::Json;
use schemas::{AccountId, Channel, ContactId};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::app::{App, State};
use crate::auth::Caller;
use crate::etag::ETag;
use crate::extract::{Id, LABEL_MAX, Query, name_of};
use crate::list::{Keyed, Page, Total};
use crate::problem::Problem;
use crate::time::Time;

pub(crate) mod policy;
pub(crate) mod rows;
pub(crate) mod search;

use rows::{ConversationRow, ConversationsQuery};

/// The person of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactRef {
    /// Meta's id of the person, as this account knows them.
    #[schema(value_type = String)]
    pub id: ContactId,
    /// The profile's name, or the placeholder.
    pub name: String,
    /// The Instagram handle.
    pub username: Option<String>,
    /// A link that stops working within days.
    pub avatar_url: Option<String>,
    /// What the name was before the profile was read.
    #[schema(example = "User 790621")]
    pub placeholder: String,
}

/// The latest visible message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastMessage {
    /// As in the list of messages.
    pub id: String,
    /// Meta's id.
    pub message_id: String,
    /// `inbound`, `outbound` or `unknown`.
    pub direction: String,
    /// Its text; null when there is none or it was unsent.
    pub text: Option<String>,
    /// Its attachments.
    #[schema(value_type = Vec<Object>)]
    pub attachments: Value,
    /// When it was sent.
    pub sent_at: Option<Time>,
    /// When it was unsent.
    pub deleted_at: Option<Time>,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversation {
    /// Our id.
    #[schema(example = "cnv_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// `instagram` or `messenger`.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The person.
    pub contact: ContactRef,
    /// The latest visible message.
    pub last_message: Option<LastMessage>,
    /// When it was sent.
    pub last_message_at: Time,
    /// Messages of the person since somebody read the conversation.
    pub unread_count: i64,
    /// Until when Meta takes replies; null when the person never opened a window.
    pub window_expires_at: Option<Time>,
    /// Out of the way.
    pub archived: bool,
    /// Who looks after it.
    pub assigned_to: Option<String>,
    /// In order.
    pub labels: Vec<String>,
    /// Until when it is out of the list; null when it is not snoozed, or when the person wrote since.
    pub snoozed_until: Option<Time>,
}

impl Keyed for Conversation {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.last_message_at, Cow::Borrowed(&self.id))
    }
}

impl From<ConversationRow> for Conversation {
    fn from(row: ConversationRow) -> Self {
        let last_message =
            match (row.last_message_id, row.last_message_mid, row.last_message_direction) {
                (Some(id), Some(message_id), Some(direction)) => Some(LastMessage {
                    id,
                    message_id,
                    direction,
                    text: row.last_message_text,
                    attachments: row
                        .last_message_attachments
                        .unwrap_or_else(|| Value::Array(Vec::new())),
                    sent_at: row.last_message_sent_at,
                    deleted_at: row.last_message_deleted_at,
                }),
                _ => None,
            };
        Self {
            id: row.id,
            channel: row.channel,
            account_id: row.account_id,
            contact: ContactRef {
                id: row.contact_id,
                name: row.contact_name,
                username: row.contact_username,
                avatar_url: row.contact_avatar_url,
                placeholder: row.contact_placeholder,
            },
            last_message,
            last_message_at: row.last_message_at,
            unread_count: row.unread_count,
            window_expires_at: row.window_expires_at,
            archived: row.archived,
            assigned_to: row.assigned_to,
            labels: row.labels,
            snoozed_until: row.snoozed_until,
        }
    }
}

/// A page of conversations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversations {
    /// Those with the latest message first.
    pub conversations: Vec<Conversation>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// List conversations
///
/// Newest message first. Archived and snoozed ones are left out unless asked for; blocked contacts always. A snooze ends at its time, or
/// when the person writes.
///
/// A search (`q`) that takes longer than 2 s ends with `search_too_slow`; one that waits longer than 10 s for others with `search_busy`.
///
/// # Errors
/// 422 naming the parameter; 503.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(ConversationsQuery),
    responses((status = 200, body = Conversations), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<ConversationsQuery>,
) -> Result<Json<Conversations>, Problem> {
    query.reach = caller.reach.clone();
    query.label =
        query.label.as_deref().map(|name| name_of("label", name, LABEL_MAX)).transpose()?;
    if query.q.as_ref().is_some_and(|q| q.chars().count() > 200) {
        return Err(Problem::invalid("q", "at most 200 characters"));
    }
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let (rows, total) = match query.search() {
        Some(text) => search::page(&app, &caller.name, &query, text, &page).await?,
        None => read(&app, &query, &page).await?,
    };
    let page = page.cut(&app.cursors, rows.into_iter().map(Conversation::from).collect());
    Ok(Json(Conversations { conversations: page.rows, total, next_cursor: page.next_cursor }))
}

/// A page and the total of a list without `q`.
async fn read(
    app: &App,
    query: &ConversationsQuery,
    page: &Page,
) -> sqlx::Result<(Vec<ConversationRow>, Total)> {
    let rows = async {
        if query.is_plain() {
            rows::page_of_all(&app.pool, query.archived(), page).await
        } else {
            rows::page(&app.pool, query, page).await
        }
    };
    tokio::try_join!(rows, app.totals.get(page.scope(), rows::total(&app.pool, query)))
}

/// Read one conversation
///
/// Also archived ones and those of blocked contacts.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation, headers(("ETag" = String, description = "For `If-Match` of a reply."))),
        (status = 404, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
) -> Result<(ETag, Json<Conversation>), Problem> {
    let etag = app.etag().await?;
    Ok((etag, Json(load(&app.pool, &caller, &id).await?)))
}

/// Reads one conversation.
///
/// # Errors
/// 404 when there is none that the caller may see.
pub(crate) async fn load(
    pool: &PgPool,
    caller: &Caller,
    id: &str,
) -> Result<Conversation, Problem> {
    let row = rows::one(pool, id).await?;
    let row = row.filter(|row| caller.reach.has(row.account_id.as_str()));
    row.map(Conversation::from).ok_or_else(|| Problem::unknown("conversation", id))
}
