//! `GET /v1/conversations` and one of them.

use std::borrow::Cow;

use axum::Json;
use chrono::{DateTime, Utc};
use schemas::{AccountId, Channel, ContactId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::extract::{Id, Query};
use crate::list::{Keyed, List, Page, Time, contains, equals};
use crate::problem::Problem;

/// The person of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContactRef {
    /// Meta's id of the person, as this account knows them.
    pub id: String,
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
pub struct LastMessage {
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
pub struct Conversation {
    /// Our id.
    #[schema(example = "cnv_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// `instagram` or `messenger`.
    pub channel: String,
    /// The account.
    pub account_id: String,
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
}

impl Keyed for Conversation {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.last_message_at, Cow::Borrowed(&self.id))
    }
}

/// The columns of `inbox.conversations` as they come.
#[derive(FromRow)]
struct Row {
    id: String,
    channel: String,
    account_id: String,
    contact_id: String,
    contact_name: String,
    contact_username: Option<String>,
    contact_avatar_url: Option<String>,
    contact_placeholder: String,
    last_message_id: Option<String>,
    last_message_mid: Option<String>,
    last_message_direction: Option<String>,
    last_message_text: Option<String>,
    last_message_attachments: Option<Value>,
    last_message_sent_at: Option<Time>,
    last_message_deleted_at: Option<Time>,
    last_message_at: Time,
    unread_count: i64,
    window_expires_at: Option<Time>,
    archived: bool,
    assigned_to: Option<String>,
}

impl<'r> FromRow<'r, sqlx::postgres::PgRow> for Conversation {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        let row = Row::from_row(row)?;
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
        Ok(Self {
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
        })
    }
}

/// A page of conversations.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conversations {
    /// Those with the latest message first.
    pub conversations: Vec<Conversation>,
    /// How many there are with these filters.
    pub total: i64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which conversations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConversationsQuery {
    /// Only this channel: `instagram` or `messenger`.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// `true`: only archived ones. Unset or `false`: only those not archived.
    pub archived: Option<bool>,
    /// `true`: only those with unread messages; `false`: only those without.
    pub unread: Option<bool>,
    /// Part of the person's name, handle, id, or of the text of a message.
    pub q: Option<String>,
    /// Only those assigned to this name; empty: only those assigned to nobody.
    pub assigned_to: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

const LIST: List = List {
    name: "conversations",
    columns: "c.id, c.channel, c.account_id, c.contact_id, c.contact_name, c.contact_username, c.contact_avatar_url, \
              c.contact_placeholder, c.last_message_id, c.last_message_mid, c.last_message_direction, c.last_message_text, \
              c.last_message_attachments, c.last_message_sent_at, c.last_message_deleted_at, c.last_message_at, c.unread_count, \
              c.window_expires_at, c.archived, c.assigned_to",
    from: "inbox.conversations c",
    time: "c.last_message_at",
    id: "c.id",
};

impl ConversationsQuery {
    fn filters(&self) -> String {
        format!(
            "{:?}",
            (
                &self.channel,
                &self.account_id,
                self.archived.unwrap_or(false),
                self.unread,
                &self.q,
                &self.assigned_to
            )
        )
    }

    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" and not c.blocked");
        equals(query, "c.channel", self.channel.map(Channel::as_str));
        equals(query, "c.account_id", self.account_id.as_deref());
        query.push(if self.archived == Some(true) {
            " and c.archived"
        } else {
            " and not c.archived"
        });
        match self.unread {
            Some(true) => query.push(" and c.unread_count > 0"),
            Some(false) => query.push(" and c.unread_count = 0"),
            None => query,
        };
        match self.assigned_to.as_deref() {
            Some("") => {
                query.push(" and c.assigned_to is null");
            }
            assigned => equals(query, "c.assigned_to", assigned),
        }
        if let Some(q) = self.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
            let pattern = contains(q);
            query.push(" and (c.contact_name ilike ").push_bind(pattern.clone());
            query.push(" or c.contact_username ilike ").push_bind(pattern.clone());
            query.push(" or c.contact_id = ").push_bind(q.to_owned());
            query.push(
                " or exists (select 1 from inbox.messages m where m.conversation_id = c.id and m.text ilike ",
            );
            query.push_bind(pattern).push("))");
        }
    }
}

/// List conversations
///
/// Newest message first. Archived ones are left out unless asked for; blocked contacts always.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(ConversationsQuery),
    responses((status = 200, body = Conversations), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    Query(query): Query<ConversationsQuery>,
) -> Result<Json<Conversations>, Problem> {
    if query.q.as_ref().is_some_and(|q| q.chars().count() > 200) {
        return Err(Problem::invalid("q", "at most 200 characters"));
    }
    let page =
        Page { cursor: query.cursor.as_deref(), limit: query.limit, filters: query.filters() };
    let (rows, total) = tokio::try_join!(
        LIST.page::<Conversation>(&app.pool, &app.cursors, &page, |builder| query.push(builder)),
        LIST.total(&app.pool, |builder| query.push(builder)),
    )?;
    Ok(Json(Conversations { conversations: rows.rows, total, next_cursor: rows.next_cursor }))
}

/// Read one conversation
///
/// Also archived ones and those of blocked contacts.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(
    axum::extract::State(app): State,
    Id(id): Id,
) -> Result<Json<Conversation>, Problem> {
    load(&app.pool, &id).await.map(Json)
}

/// Reads one conversation.
///
/// # Errors
/// 404 when there is none.
pub async fn load(pool: &PgPool, id: &str) -> Result<Conversation, Problem> {
    let mut query = LIST.select();
    equals(&mut query, LIST.id, Some(id));
    query
        .build_query_as()
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| Problem::unknown("conversation", id))
}

/// What is needed in order to act on a conversation.
pub struct Target {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account: AccountId,
    /// The person.
    pub contact: ContactId,
    /// Until when Meta takes replies.
    pub window_expires_at: Option<DateTime<Utc>>,
}

/// Finds the conversation to act on: also one of a person of whom no message is known yet.
///
/// # Errors
/// 404 when there is none.
pub async fn target(pool: &PgPool, id: &str) -> Result<Target, Problem> {
    let row: Option<(String, String, String, Option<Time>)> = sqlx::query_as(
        "select k.channel, k.account_id, k.id, c.window_expires_at \
         from inbox.contacts k left join inbox.conversations c on c.id = k.conversation_id where k.conversation_id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    let (channel, account, contact, window) =
        row.ok_or_else(|| Problem::unknown("conversation", id))?;
    Ok(Target {
        channel: channel.parse().map_err(|_| Problem::internal())?,
        account: account.into(),
        contact: contact.into(),
        window_expires_at: window.map(|time| time.0),
    })
}
