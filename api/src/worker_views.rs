//! Everything the api reads from the schema `worker`, which the worker alone writes. Tokens are never read.
//!
//! Published for readers (worker/migrations): the views `worker.account_list`, `worker.account_ids`, `worker.account_health`,
//! `worker.replies`, `worker.dead_list`, `worker.waiting_list`, `worker.command_outcomes`, `worker.conversion_list`, `worker.refused_commands`, `worker.template_list`, `worker.conversation_policy`, `worker.send_stops`, `worker.connecting`, `worker.deletion_requests`, `worker.media_list`, `worker.media_reads`, `worker.completeness_figures`,
//! `worker.completeness_standing` and `worker.eras`.

pub(crate) mod completeness;
pub(crate) mod conversions;
pub(crate) mod media;
pub(crate) mod operators;
pub(crate) mod policy;
pub(crate) mod replies;

use std::borrow::Cow;

use runtime::db::absent_is_empty;
use runtime::streams::Era;
use schemas::{AccountId, Channel, Command};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::list::{COUNT_MAX, Keyed, Page};
use crate::status::CommandStatus;
use crate::time::Time;

/// The era that the worker's positions in a stream are of; `None` where it has none yet.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn era(pool: &PgPool, stream: &str) -> sqlx::Result<Option<Era>> {
    let era = sqlx::query_scalar("select era from worker.eras where stream = $1")
        .bind(stream)
        .fetch_optional(pool)
        .await;
    absent_is_empty(era)
}

/// The number of that era; 0 is the first.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn era_number(pool: &PgPool, stream: &str) -> sqlx::Result<u64> {
    let n: sqlx::Result<Option<i16>> =
        sqlx::query_scalar("select n from worker.eras where stream = $1")
            .bind(stream)
            .fetch_optional(pool)
            .await;
    Ok(absent_is_empty(n)?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

/// An account hookline speaks for.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Account {
    /// The Instagram professional account id or the Page id.
    pub id: String,
    /// `instagram` or `messenger`.
    #[schema(value_type = String)]
    pub channel: Channel,
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
    /// `active`; `stopped`: Meta refused its token; `disconnected`: its token was destroyed.
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

/// One page of the accounts; of `ids` only, where they are given.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn accounts(
    pool: &PgPool,
    channel: Option<Channel>,
    ids: Option<&[String]>,
    page: &Page,
) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as(
        "select a.id, a.channel, a.login, a.name, a.app, a.page_id, a.auto_reply, a.state, a.state_reason, a.state_since, a.added_at,
                a.aliases
         from worker.account_list a
         where ($1::text is null or a.channel = $1)
           and ($2::text[] is null or a.id = any($2))
           and (a.added_at, a.id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
         order by a.added_at desc, a.id desc
         limit $5",
    )
    .bind(channel)
    .bind(ids)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

/// How many accounts there are on a channel, or on both.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn accounts_total(
    pool: &PgPool,
    channel: Option<Channel>,
    ids: Option<&[String]>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from worker.account_list a
         where ($1::text is null or a.channel = $1) and ($2::text[] is null or a.id = any($2))
         limit $3) counted",
    )
    .bind(channel)
    .bind(ids)
    .bind(COUNT_MAX)
    .fetch_one(pool)
    .await
}

/// The accounts with this id, alias or linked Page, at most 10.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn accounts_called(
    pool: &PgPool,
    id: &str,
    channel: Option<Channel>,
) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as(
        "select a.id, a.channel, a.login, a.name, a.app, a.page_id, a.auto_reply, a.state, a.state_reason, a.state_since, a.added_at,
                a.aliases
         from worker.account_list a
         where (a.channel, a.id) in (select i.channel, i.account_id from worker.account_ids i where i.known_as = $1)
           and ($2::text is null or a.channel = $2)
         order by a.channel limit 10",
    )
    .bind(id)
    .bind(channel)
    .fetch_all(pool)
    .await
}

/// What the worker has to say of an account beyond the account itself. Columns that it adds later are shown as they are. `None`: there is
/// no such account, or the view is not there yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn account_health(
    pool: &PgPool,
    account: &Account,
) -> sqlx::Result<Option<Value>> {
    let row = sqlx::query_scalar(
        "select to_jsonb(h) - array['channel', 'account_id', 'name', 'login', 'page_id', 'state', 'state_reason', 'state_since',
                                    'added_at', 'updated_at', 'handle', 'token_ends', 'token_accepted_at', 'look_error',
                                    'refreshed_at', 'refresh_error', 'scopes', 'scopes_missing', 'fields', 'seen']
         from worker.account_health h
         where h.channel = $1 and h.account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .fetch_optional(pool)
    .await;
    absent_is_empty(row)
}

/// How the connection of an account stands.
#[derive(Debug, Default, FromRow)]
pub(crate) struct Upkeep {
    pub handle: Option<String>,
    pub token_ends: Option<Time>,
    pub token_accepted_at: Option<Time>,
    pub look_error: Option<String>,
    pub refreshed_at: Option<Time>,
    pub refresh_error: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub scopes_missing: Option<Value>,
    #[sqlx(json(nullable))]
    pub fields: Option<Vec<Value>>,
    pub seen: Option<Value>,
}

/// How the connection of an account stands. `None`: there is no such account, or the view is not there yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn upkeep(pool: &PgPool, account: &Account) -> sqlx::Result<Option<Upkeep>> {
    let row = sqlx::query_as(
        "select handle, token_ends, token_accepted_at, look_error, refreshed_at, refresh_error, scopes, scopes_missing, fields, seen
         from worker.account_health
         where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .fetch_optional(pool)
    .await;
    absent_is_empty(row)
}

/// Where the request for deletion of this code stands; `None`: there is none.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn deletion(pool: &PgPool, code: &str) -> sqlx::Result<Option<String>> {
    let state = sqlx::query_scalar("select state from worker.deletion_requests where code = $1")
        .bind(code)
        .fetch_optional(pool)
        .await;
    absent_is_empty(state)
}

/// The outcome of a command.
#[derive(FromRow)]
pub(crate) struct OutcomeRow {
    pub status: CommandStatus,
    pub result: Option<Value>,
    pub error: Option<Value>,
}

/// The outcome of a command by the worker's ledger. `None`: it has none yet, or the view is not there yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn command_outcome(
    pool: &PgPool,
    command: &Command,
) -> sqlx::Result<Option<OutcomeRow>> {
    let row = sqlx::query_as(
        "select status, result, error
         from worker.command_outcomes
         where command_id = $1 and channel = $2 and account_id = $3 and finished_at is not null",
    )
    .bind(&command.id)
    .bind(command.channel)
    .bind(&command.account_id)
    .fetch_optional(pool)
    .await;
    absent_is_empty(row)
}

/// A command other than a reply, by its id.
#[derive(FromRow)]
pub(crate) struct CommandOutcomeRow {
    pub channel: Channel,
    pub account_id: AccountId,
    pub command: String,
    pub status: CommandStatus,
    pub result: Option<Value>,
    pub error: Option<Value>,
}

/// All commands other than replies with this id, at most 10: those that have a row of their own, else the latest refusals.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn commands(pool: &PgPool, id: &str) -> sqlx::Result<Vec<CommandOutcomeRow>> {
    let rows = sqlx::query_as(
        "select channel, account_id, command, status, result, error from worker.command_outcomes where command_id = $1
          union all
        (select distinct on (r.channel, r.account_id) r.channel, r.account_id, r.command, 'failed', null::jsonb, r.error
           from worker.refused_commands r
          where r.command_id = $1
            and not exists (select from worker.command_outcomes o
                             where o.command_id = r.command_id and o.channel = r.channel and o.account_id = r.account_id)
          order by r.channel, r.account_id, r.finished_at desc)
          limit 10",
    )
    .bind(id)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}

/// Why a command was refused beside the one of its id.
#[derive(FromRow)]
pub(crate) struct RefusedRow {
    pub error: Option<Value>,
    pub requested_at: Time,
    pub finished_at: Time,
}

/// The latest refusal of a command that has no row of its own: the worker could not read it, or its id was used otherwise.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn refused(
    pool: &PgPool,
    id: &str,
    channel: Channel,
    account: &AccountId,
) -> sqlx::Result<Option<RefusedRow>> {
    let row = sqlx::query_as(
        "select error, requested_at, finished_at
         from worker.refused_commands
         where command_id = $1 and channel = $2 and account_id = $3
         order by finished_at desc limit 1",
    )
    .bind(id)
    .bind(channel)
    .bind(account)
    .fetch_optional(pool)
    .await;
    absent_is_empty(row)
}

/// An account that a login can connect, and what became of it.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Candidate {
    pub channel: String,
    pub id: String,
    pub name: Option<String>,
    pub handle: Option<String>,
    /// Why it cannot be connected.
    pub obstacle: Option<String>,
    /// Permissions that it lacks.
    #[serde(default)]
    pub missing: Vec<String>,
    pub outcome: Option<String>,
    pub note: Option<String>,
}

/// All of a login.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Candidates(pub Vec<Candidate>);

/// How far the worker is with a login.
#[derive(Debug, FromRow)]
pub(crate) struct Connecting {
    pub step: String,
    pub granted: Vec<String>,
    #[sqlx(json)]
    pub candidates: Candidates,
    pub refusal: Option<String>,
    pub detail: Option<String>,
}

impl Connecting {
    /// Whether it waits for a person, or has ended.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.step.as_str(), "choosing" | "done" | "refused")
    }
}

/// How far the worker is with a login. `None`: it has not seen it yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn connecting(pool: &PgPool, id: &str) -> sqlx::Result<Option<Connecting>> {
    let row = sqlx::query_as(
        "select step, granted, candidates, refusal, detail from worker.connecting where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await;
    absent_is_empty(row)
}
