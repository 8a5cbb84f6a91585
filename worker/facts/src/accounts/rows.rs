//! Statements over `worker.accounts`, `worker.account_aliases` and `worker.accounts_version`.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};

use super::directory::{Account, Login};
use super::new_account::NewAccount;

#[derive(Debug, FromRow)]
struct AccountColumns {
    channel: Channel,
    id: AccountId,
    login: Login,
    name: Option<String>,
    app: Option<String>,
    page_id: Option<String>,
    auto_reply: Option<String>,
    stopped: bool,
    aliases: Vec<String>,
    handle: Option<String>,
}

impl From<AccountColumns> for Account {
    fn from(row: AccountColumns) -> Self {
        Self {
            channel: row.channel,
            id: row.id,
            login: row.login,
            app: row.app,
            page_id: row.page_id,
            aliases: row.aliases,
            handle: row.handle,
            name: row.name,
            auto_reply: row.auto_reply,
            stopped: row.stopped,
        }
    }
}

/// An account and its state, without its token.
#[derive(Debug, FromRow)]
pub(super) struct Listed {
    #[sqlx(flatten)]
    account: AccountColumns,
    pub(super) state: String,
    pub(super) state_reason: Option<String>,
    pub(super) state_since: Timestamp,
    pub(super) added_at: Timestamp,
}

impl Listed {
    pub(super) fn into_account(self) -> Account {
        self.account.into()
    }
}

/// An account and its sealed token.
#[derive(Debug, FromRow)]
struct Sealed {
    #[sqlx(flatten)]
    account: AccountColumns,
    token: Vec<u8>,
}

impl From<Sealed> for (Account, Vec<u8>) {
    fn from(row: Sealed) -> Self {
        (row.account.into(), row.token)
    }
}

/// An id that belongs to another account.
#[derive(Debug, FromRow)]
pub(super) struct Owned {
    pub(super) id: String,
    pub(super) owner: AccountId,
}

/// Grows with every change of an account or an alias.
pub(super) async fn version(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select version from worker.accounts_version").fetch_one(conn).await
}

/// The version of the accounts, and the database's clock.
pub(super) async fn version_and_clock(conn: &mut PgConnection) -> sqlx::Result<(i64, Timestamp)> {
    sqlx::query_as("select version, clock_timestamp() from worker.accounts_version")
        .fetch_one(conn)
        .await
}

/// Makes additions wait for each other: two at once must see each other's ids.
pub(super) async fn lock(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select 1 from worker.accounts_version for update").execute(conn).await.map(|_| ())
}

/// All accounts, by channel and id.
pub(super) async fn list(conn: impl PgExecutor<'_>) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as(
        "select a.channel, a.id, a.login, a.name, a.app, a.page_id, a.auto_reply, a.handle, a.state <> 'active' as stopped,
                coalesce((select array_agg(alias order by alias) from worker.account_aliases x
                           where x.channel = a.channel and x.account_id = a.id), '{}') as aliases,
                a.state, a.state_reason, a.state_since, a.added_at
           from worker.accounts a
          order by a.channel, a.id",
    )
    .fetch_all(conn)
    .await
}

/// An account with its sealed token.
pub(super) async fn find(
    conn: impl PgExecutor<'_>,
    channel: Channel,
    id: &AccountId,
) -> sqlx::Result<Option<(Account, Vec<u8>)>> {
    let row: Option<Sealed> = sqlx::query_as(
        "select a.channel, a.id, a.login, a.name, a.app, a.page_id, a.auto_reply, a.handle, a.state <> 'active' as stopped,
                coalesce((select array_agg(alias order by alias) from worker.account_aliases x
                           where x.channel = a.channel and x.account_id = a.id), '{}') as aliases,
                a.token
           from worker.accounts a
          where a.channel = $1 and a.id = $2",
    )
    .bind(channel)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Into::into))
}

/// An active account of another login one of whose ids is among `ids`, with its sealed token.
pub(super) async fn find_other_login(
    pool: &PgPool,
    login: Login,
    ids: &[String],
) -> sqlx::Result<Option<(Account, Vec<u8>)>> {
    let row: Option<Sealed> = sqlx::query_as(
        "select a.channel, a.id, a.login, a.name, a.app, a.page_id, a.auto_reply, a.handle, a.state <> 'active' as stopped,
                coalesce((select array_agg(alias order by alias) from worker.account_aliases x
                           where x.channel = a.channel and x.account_id = a.id), '{}') as aliases,
                a.token
           from worker.accounts a
          where a.login <> $1 and a.state = 'active'
            and (a.id = any($2) or a.page_id = any($2)
                 or exists (select 1 from worker.account_aliases x
                             where x.channel = a.channel and x.account_id = a.id and x.alias = any($2)))
          order by a.channel, a.id limit 1",
    )
    .bind(login)
    .bind(ids)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Into::into))
}

/// The first of `ids` that is an id or alias of an account other than `but`.
pub(super) async fn taken(
    conn: &mut PgConnection,
    channel: Channel,
    but: &AccountId,
    ids: &[String],
) -> sqlx::Result<Option<Owned>> {
    sqlx::query_as(
        "select alias as id, account_id as owner from worker.account_aliases
          where channel = $1 and account_id <> $2 and alias = any($3)
         union all
         select id, id from worker.accounts where channel = $1 and id <> $2 and id = any($3)
         limit 1",
    )
    .bind(channel)
    .bind(but)
    .bind(ids)
    .fetch_optional(conn)
    .await
}

/// Stores an account with its sealed token and makes it active. `true`: it was new.
pub(super) async fn store(
    conn: &mut PgConnection,
    new: &NewAccount,
    sealed: &[u8],
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "insert into worker.accounts as a (channel, id, login, name, app, page_id, token, auto_reply)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (channel, id) do update
            set login = excluded.login, name = excluded.name, app = excluded.app, page_id = excluded.page_id,
                token = excluded.token, auto_reply = excluded.auto_reply, state = 'active', state_reason = null,
                state_since = case when a.state = 'active' then a.state_since else now() end, updated_at = now()
         returning xmax = 0",
    )
    .bind(new.channel)
    .bind(&new.id)
    .bind(new.login)
    .bind(&new.name)
    .bind(&new.app)
    .bind(&new.page_id)
    .bind(sealed)
    .bind(&new.auto_reply)
    .fetch_one(&mut *conn)
    .await
}

/// Makes the aliases of an account those of `new` and those that were learnt.
pub(super) async fn store_aliases(conn: &mut PgConnection, new: &NewAccount) -> sqlx::Result<()> {
    sqlx::query(
        "delete from worker.account_aliases where channel = $1 and account_id = $2 and not learnt",
    )
    .bind(new.channel)
    .bind(&new.id)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into worker.account_aliases (channel, alias, account_id)
         select $1, alias, $2 from unnest($3::text[]) as t (alias) group by alias
         on conflict (channel, alias) do update set learnt = false",
    )
    .bind(new.channel)
    .bind(&new.id)
    .bind(&new.aliases)
    .execute(conn)
    .await?;
    Ok(())
}

/// The account that has one of these ids or aliases; of several the one whose id stands first.
pub(super) async fn known_as(
    conn: &mut PgConnection,
    channel: Channel,
    ids: &[String],
) -> sqlx::Result<Option<AccountId>> {
    sqlx::query_scalar(
        "select account_id
           from (select id as account_id, array_position($2, id) as place from worker.accounts where channel = $1 and id = any($2)
                 union all
                 select account_id, array_position($2, alias) from worker.account_aliases where channel = $1 and alias = any($2)) known
          order by place limit 1",
    )
    .bind(channel)
    .bind(ids)
    .fetch_optional(conn)
    .await
}

/// Removes an account; its aliases and its token go with it. `false`: there was none.
pub(super) async fn remove(pool: &PgPool, channel: Channel, id: &AccountId) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from worker.accounts where channel = $1 and id = $2")
        .bind(channel)
        .bind(id)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Stops an active account that still has this sealed token. `false`: it has another one, or is stopped already.
pub(super) async fn stop(
    pool: &PgPool,
    account: &Account,
    sealed: &[u8],
    reason: &str,
) -> sqlx::Result<bool> {
    let stopped = sqlx::query(
        "update worker.accounts set state = 'stopped', state_reason = $3, state_since = now(), updated_at = now()
          where channel = $1 and id = $2 and state = 'active' and token = $4",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(reason)
    .bind(sealed)
    .execute(pool)
    .await?;
    Ok(stopped.rows_affected() == 1)
}

/// Adds an id that Graph uses for an account. An id that belongs to another one stays there.
pub(super) async fn add_learnt_alias(
    conn: &mut PgConnection,
    account: &Account,
    alias: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.account_aliases (channel, alias, account_id, learnt) values ($1, $2, $3, true)
         on conflict (channel, alias) do nothing",
    )
    .bind(account.channel)
    .bind(alias)
    .bind(&account.id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the handle of an account.
pub(super) async fn set_handle(
    conn: &mut PgConnection,
    account: &Account,
    handle: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.accounts set handle = $3, updated_at = now() where channel = $1 and id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .bind(handle)
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a stopped account, unless it is there.
pub(super) async fn add_stopped(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
    login: Login,
    sealed: &[u8],
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.accounts (channel, id, login, token, state, state_reason) values ($1, $2, $3, $4, 'stopped', $5)
         on conflict (channel, id) do nothing",
    )
    .bind(channel)
    .bind(id)
    .bind(login)
    .bind(sealed)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}
