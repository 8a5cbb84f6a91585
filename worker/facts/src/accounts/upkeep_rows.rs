//! Statements over `worker.account_upkeep` and `worker.account_fields`.

use std::collections::BTreeMap;

use schemas::{AccountId, Channel, Timestamp};
use serde_json::{Value, json};
use sqlx::{FromRow, PgConnection, PgPool};

use super::directory::Account;
use super::grant::Grant;
use super::standing::{
    Attention, FieldRow, Heard, MissingScope, NewToken, Scopes, Shown, Standing,
};

/// A token was stored: no more is known of it than what came with it.
pub(super) async fn start(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
    grant: &Grant,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.account_upkeep (channel, account_id, token_ends, scopes, person, due_at)
         values ($1, $2, $3, $4, $5, now() + interval '1 minute')
         on conflict (channel, account_id) do update
            set token_since = now(), connected_at = now(), token_ends = excluded.token_ends, looked_at = null, scopes = excluded.scopes, scopes_missing = null,
                person = excluded.person, look_tries = 0, look_tried_at = null, look_error = null, refresh_tries = 0, refresh_tried_at = null,
                refresh_error = null, refreshed_at = null, next_token = null, next_token_ends = null, due_at = excluded.due_at",
    )
    .bind(channel)
    .bind(id)
    .bind(grant.ends)
    .bind((!grant.scopes.is_empty()).then_some(&grant.scopes))
    .bind(&grant.person)
    .execute(conn)
    .await?;
    Ok(())
}

/// A row for an account that is stopped without a token, unless it has one.
pub(super) async fn start_stopped(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.account_upkeep (channel, account_id) values ($1, $2) on conflict do nothing",
    )
    .bind(channel)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Rows for accounts that have none.
pub(super) async fn add_missing(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.account_upkeep (channel, account_id, token_since, connected_at)
         select channel, id, updated_at, updated_at from worker.accounts a
          where not exists (select from worker.account_upkeep u where u.channel = a.channel and u.account_id = a.id)
         on conflict do nothing",
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn due(pool: &PgPool, max: i64) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as(concat!(
        include_str!("standing.sql"),
        " where u.due_at <= clock_timestamp() order by u.due_at limit $1"
    ))
    .bind(max)
    .fetch_all(pool)
    .await
}

pub(super) async fn standing(
    pool: &PgPool,
    channel: Channel,
    id: &AccountId,
) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as(concat!(
        include_str!("standing.sql"),
        " where u.channel = $1 and u.account_id = $2"
    ))
    .bind(channel)
    .bind(id)
    .fetch_optional(pool)
    .await
}

pub(super) async fn set_due(
    pool: &PgPool,
    channel: Channel,
    id: &AccountId,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep set due_at = $3 where channel = $1 and account_id = $2",
    )
    .bind(channel)
    .bind(id)
    .bind(at)
    .execute(pool)
    .await?;
    Ok(())
}

/// What Meta does not show stays as it was.
pub(super) async fn shown(pool: &PgPool, account: &Account, shown: &Shown) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep
            set token_ends = coalesce($3, token_ends), scopes = coalesce($4, scopes), scopes_missing = coalesce($5, scopes_missing),
                person = coalesce($6, person)
          where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(shown.ends)
    .bind(granted(shown.scopes.as_ref()))
    .bind(missing(shown.scopes.as_ref()))
    .bind(&shown.person)
    .execute(pool)
    .await?;
    Ok(())
}

/// Meta accepted the token; [`shown`] has stored what it shows.
pub(super) async fn looked(pool: &PgPool, account: &Account) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep
            set looked_at = clock_timestamp(), look_tries = 0, look_tried_at = clock_timestamp(), look_error = null
          where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .execute(pool)
    .await?;
    Ok(())
}

fn granted(scopes: Option<&Scopes>) -> Option<&[String]> {
    scopes.map(|scopes| scopes.granted.as_slice())
}

fn missing(scopes: Option<&Scopes>) -> Option<Value> {
    let one = |missing: &MissingScope| {
        let MissingScope { scope, feature, costs } = missing;
        json!({"scope": scope, "feature": feature, "costs": costs})
    };
    scopes.map(|scopes| scopes.missing.iter().map(one).collect())
}

pub(super) async fn look_failed(pool: &PgPool, account: &Account, error: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep set look_tries = look_tries + 1, look_tried_at = clock_timestamp(), look_error = $3
          where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}

/// A field keeps the time since which it is in its state.
pub(super) async fn put_fields(
    conn: &mut PgConnection,
    account: &Account,
    object: &str,
    fields: &[FieldRow],
) -> sqlx::Result<()> {
    let names: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
    let states: Vec<&str> = fields.iter().map(|field| field.state.as_str()).collect();
    let codes: Vec<Option<i64>> = fields.iter().map(|field| field.code).collect();
    let subcodes: Vec<Option<i64>> = fields.iter().map(|field| field.subcode).collect();
    let costs: Vec<Option<&str>> = fields.iter().map(|field| field.costs.as_deref()).collect();
    sqlx::query(
        "delete from worker.account_fields
          where channel = $1 and account_id = $2 and object = $3 and field <> all($4)",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(object)
    .bind(&names)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into worker.account_fields as f (channel, account_id, object, field, state, code, subcode, costs)
         select $1, $2, $3, field, state, code, subcode, costs
           from unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[]) as t (field, state, code, subcode, costs)
         on conflict (channel, account_id, object, field) do update
            set state = excluded.state, code = excluded.code, subcode = excluded.subcode, costs = excluded.costs,
                since = case when f.state = excluded.state then f.since else excluded.since end",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(object)
    .bind(&names)
    .bind(&states)
    .bind(&codes)
    .bind(&subcodes)
    .bind(&costs)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn fields(
    pool: &PgPool,
    channel: Channel,
    id: &AccountId,
) -> sqlx::Result<Vec<FieldRow>> {
    sqlx::query_as(
        "select object, field, state, code, subcode, costs from worker.account_fields
          where channel = $1 and account_id = $2 order by object, field",
    )
    .bind(channel)
    .bind(id)
    .fetch_all(pool)
    .await
}

pub(super) async fn begin_refresh(pool: &PgPool, account: &Account) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep set refresh_tries = refresh_tries + 1, refresh_tried_at = clock_timestamp()
          where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn refresh_failed(
    pool: &PgPool,
    account: &Account,
    error: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep set refresh_error = $3 where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn keep_next(
    pool: &PgPool,
    account: &Account,
    in_use: &[u8],
    sealed: &[u8],
    new: &NewToken,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.account_upkeep u
            set next_token = $4, next_token_ends = $5, scopes = coalesce($6, u.scopes), scopes_missing = coalesce($7, u.scopes_missing),
                refresh_error = null
           from worker.accounts a
          where u.channel = $1 and u.account_id = $2 and a.channel = u.channel and a.id = u.account_id and a.token = $3
            and a.state <> 'disconnected'",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(in_use)
    .bind(sealed)
    .bind(new.ends)
    .bind(granted(new.scopes.as_ref()))
    .bind(missing(new.scopes.as_ref()))
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn next(
    pool: &PgPool,
    channel: Channel,
    id: &AccountId,
) -> sqlx::Result<Option<Vec<u8>>> {
    let found: Option<Option<Vec<u8>>> = sqlx::query_scalar(
        "select next_token from worker.account_upkeep where channel = $1 and account_id = $2",
    )
    .bind(channel)
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(found.flatten())
}

pub(super) async fn use_next(
    conn: &mut PgConnection,
    account: &Account,
    next: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.accounts a
            set token = u.next_token, state = 'active', state_reason = null,
                state_since = case when a.state = 'active' then a.state_since else now() end, updated_at = now()
           from worker.account_upkeep u
          where a.channel = $1 and a.id = $2 and u.channel = a.channel and u.account_id = a.id and u.next_token = $3
            and a.state <> 'disconnected'",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(next)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    // The fields of the old token were seen to be gone with it: they are asked for again.
    sqlx::query(
        "update worker.account_upkeep
            set token_since = now(), refreshed_at = now(), token_ends = next_token_ends, next_token = null, next_token_ends = null,
                refresh_tries = 0, refresh_error = null, looked_at = null, look_tries = 0, look_tried_at = null
          where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .execute(conn)
    .await?;
    Ok(true)
}

pub(super) async fn drop_next(
    pool: &PgPool,
    account: &Account,
    next: &[u8],
    error: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep set next_token = null, next_token_ends = null, refresh_error = $4
          where channel = $1 and account_id = $2 and next_token = $3",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(next)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}

/// What was heard of one account.
#[derive(FromRow)]
struct HeardRow {
    channel: Channel,
    account_id: AccountId,
    #[sqlx(flatten)]
    heard: Heard,
}

pub(super) async fn attention(pool: &PgPool) -> sqlx::Result<Vec<Attention>> {
    let mut all: Vec<Attention> = sqlx::query_as(
        "select a.channel, a.id, a.state, u.token_ends, u.refresh_error,
                array(select f.object || '/' || f.field from worker.account_fields f
                       where f.channel = a.channel and f.account_id = a.id and f.state <> 'subscribed'
                       order by f.object, f.field) as withheld
           from worker.accounts a
           join worker.account_upkeep u on u.channel = a.channel and u.account_id = a.id
          order by a.channel, a.id",
    )
    .fetch_all(pool)
    .await?;
    let rows: Vec<HeardRow> = sqlx::query_as(
        "select channel, account_id, field, first_at as first, last_at as last,
                coalesce(extract(epoch from longest_gap)::bigint, 0) as longest_gap, spells
           from worker.account_heard order by channel, account_id, field",
    )
    .fetch_all(pool)
    .await?;
    let mut heard: BTreeMap<(Channel, AccountId), Vec<Heard>> = BTreeMap::new();
    for row in rows {
        heard.entry((row.channel, row.account_id)).or_default().push(row.heard);
    }
    for one in &mut all {
        one.heard = heard.remove(&(one.channel, one.id.clone())).unwrap_or_default();
    }
    Ok(all)
}
