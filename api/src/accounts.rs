//! `GET /v1/accounts`, their health, and importing their conversations. Tokens are never read here.

use std::borrow::Cow;

use axum::Json;
use schemas::Channel;
use schemas::command::{Action, SyncData};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::auth::Caller;
use crate::commands::{CommandState, Wish};
use crate::extract::{Body, Id, IdempotencyKey, Nothing, Query, wait_of};
use crate::list::{Keyed, List, Page, Time, equals, millis};
use crate::problem::Problem;

/// An account hookline speaks for.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Account {
    /// The Instagram professional account id or the Page id.
    pub id: String,
    /// `instagram` or `messenger`.
    pub channel: String,
    /// How it is connected: `instagram` or `facebook`.
    pub login: String,
    /// A name for people.
    pub name: Option<String>,
    /// The app whose secret verifies its webhooks.
    pub app: Option<String>,
    /// The linked Page.
    pub page_id: Option<String>,
    /// Other ids of the same account.
    pub aliases: Vec<String>,
    /// The text of the automatic reply.
    pub auto_reply: Option<String>,
    /// `active`, or `stopped`: Meta refused its token.
    pub state: String,
    /// Why.
    pub state_reason: Option<String>,
    /// Since when.
    pub state_since: Time,
    /// When it was added.
    pub added_at: Time,
}

impl Keyed for Account {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.added_at, Cow::Borrowed(&self.id))
    }
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accounts {
    /// Newest first.
    pub accounts: Vec<Account>,
    /// How many there are with these filters.
    pub total: i64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which accounts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

const LIST: List = List {
    name: "accounts",
    columns: "a.id, a.channel, a.login, a.name, a.app, a.page_id, a.auto_reply, a.state, a.state_reason, a.state_since, a.added_at, \
              array(select alias from worker.account_aliases s where s.channel = a.channel and s.account_id = a.id order by alias) as aliases",
    from: "worker.accounts a",
    time: "a.added_at",
    id: "a.id",
};

/// List the accounts
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", params(AccountsQuery),
    responses((status = 200, body = Accounts), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<Accounts>, Problem> {
    let page = Page {
        cursor: query.cursor.as_deref(),
        limit: query.limit,
        filters: format!("{:?}", query.channel),
    };
    let filter = |builder: &mut QueryBuilder<Postgres>| {
        equals(builder, "a.channel", query.channel.map(Channel::as_str))
    };
    let (rows, total) = tokio::try_join!(
        LIST.page(&app.pool, &app.cursors, &page, filter),
        LIST.total(&app.pool, filter)
    )?;
    Ok(Json(Accounts { accounts: rows.rows, total, next_cursor: rows.next_cursor }))
}

/// Finds an account by id, alias or linked Page: an id before an alias, an alias before a Page.
///
/// # Errors
/// 404 when there is none; 409 `ambiguous` when both channels have one.
pub async fn find(pool: &PgPool, id: &str, channel: Option<Channel>) -> Result<Account, Problem> {
    let mut query = QueryBuilder::new("select ");
    query
        .push(LIST.columns)
        .push(" from worker.accounts a where (a.id = ")
        .push_bind(id.to_owned());
    query.push(" or a.page_id = ").push_bind(id.to_owned());
    query.push(" or exists (select 1 from worker.account_aliases s where s.channel = a.channel and s.account_id = a.id and s.alias = ");
    query.push_bind(id.to_owned()).push("))");
    equals(&mut query, "a.channel", channel.map(Channel::as_str));
    query.push(" order by a.channel limit 10");
    let found: Vec<Account> = query.build_query_as().fetch_all(pool).await?;
    let rank = |account: &Account| match account {
        account if account.id == id => 0,
        account if account.aliases.iter().any(|alias| alias == id) => 1,
        _ => 2,
    };
    let best = found.iter().map(rank).min();
    let mut found: Vec<_> =
        found.into_iter().filter(|account| Some(rank(account)) == best).collect();
    if found.len() > 1 {
        let choices: Vec<_> =
            found.iter().map(|one| format!("{}/{}", one.channel, one.id)).collect();
        return Err(Problem::ambiguous("accounts", &choices));
    }
    found.pop().ok_or_else(|| Problem::unknown("account", id))
}

/// Which of two channels.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountQuery {
    /// On this channel, where both have an account with this id.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// How long to wait for the outcome, such as `5s`; at most `30s`.
    pub wait: Option<String>,
}

/// Import the conversations of an account
///
/// Contacts with placeholders and their newest messages. Safe to repeat; nothing imported is answered automatically.
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/accounts/{id}/sync", tag = "accounts", params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub async fn sync(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<AccountQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let account = find(&app.pool, &id, query.channel).await?;
    let wish = Wish {
        caller: &caller,
        key: key.0,
        channel: account.channel.parse().map_err(|_| Problem::internal())?,
        account: account.id.into(),
        contact: None,
        action: Action::Sync(SyncData::default()),
    };
    app.command(wish, wait).await
}

/// How an account does.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountHealth {
    /// The account.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// Whether it can be used: `active` or `stopped`.
    pub state: String,
    /// Why it is stopped.
    pub state_reason: Option<String>,
    /// Since when.
    pub state_since: Time,
    /// The latest message in either direction.
    pub last_message_at: Option<Time>,
    /// Conversations.
    pub conversations: i64,
    /// Conversations with unread messages.
    pub unread_conversations: i64,
    /// What the worker knows beside: expiry of the token, budget, frozen sends. Null while it has told nothing.
    #[schema(value_type = Option<Object>)]
    pub worker: Option<Value>,
}

/// Read how an account does
///
/// What is known here, without asking Meta: `hookline accounts check` does that.
///
/// # Errors
/// 404, 409.
#[utoipa::path(get, path = "/v1/accounts/{id}/health", tag = "accounts", params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, body = AccountHealth), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 503, body = Problem)))]
pub async fn health(
    axum::extract::State(app): State,
    Id(id): Id,
    Query(query): Query<AccountQuery>,
) -> Result<Json<AccountHealth>, Problem> {
    let account = find(&app.pool, &id, query.channel).await?;
    let (last_message_at, conversations, unread_conversations): (Option<Time>, i64, i64) =
        sqlx::query_as(
            "select max(last_message_at), count(*), count(*) filter (where unread_count > 0) \
         from inbox.conversations where channel = $1 and account_id = $2",
        )
        .bind(&account.channel)
        .bind(&account.id)
        .fetch_one(&app.pool)
        .await?;
    Ok(Json(AccountHealth {
        worker: told_by_worker(&app.pool, &account).await?,
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

/// Columns of `worker.account_health` that the answer has from the account itself.
const TOLD_ELSEWHERE: [&str; 10] = [
    "channel",
    "account_id",
    "name",
    "login",
    "page_id",
    "state",
    "state_reason",
    "state_since",
    "added_at",
    "updated_at",
];

/// The row of `worker.account_health`, where the worker has made that view. It holds no token.
async fn told_by_worker(pool: &PgPool, account: &Account) -> Result<Option<Value>, Problem> {
    let row: Result<Option<(Value,)>, sqlx::Error> = sqlx::query_as(
        "select to_jsonb(h) - $3::text[] from worker.account_health h \
         where h.channel = $1 and h.account_id = $2",
    )
    .bind(&account.channel)
    .bind(&account.id)
    .bind(TOLD_ELSEWHERE.map(str::to_owned).to_vec())
    .fetch_optional(pool)
    .await;
    match row {
        Ok(row) => Ok(row.map(|(mut row,)| {
            for value in row.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
                if let Value::String(text) = value {
                    *text = millis(std::mem::take(text));
                }
            }
            row
        })),
        Err(error) if runtime::db::is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
