//! Accounts in Postgres: tables `worker.accounts` and `worker.account_aliases`, tokens sealed.

use chrono::{DateTime, Utc};
use schemas::{AccountId, Channel, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use super::directory::{Account, Directory, Login};
use super::token::Token;
use crate::seal::{Seal, SealError};

/// Why an account cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Contract section 5: an alias that already has events is refused.
    #[error(
        "`{alias}` already has events as an account of its own: it cannot stand for `{account}`; leave out `{option} {alias}`"
    )]
    AliasHasEvents {
        /// `--alias` or `--page-id`.
        option: &'static str,
        /// The alias or Page id.
        alias: String,
        /// The account it was to belong to.
        account: AccountId,
    },
    /// The id belongs to another account already.
    #[error("`{id}` belongs to account `{owner}` already: remove it there first")]
    Taken {
        /// The id or alias.
        id: String,
        /// Whose it is.
        owner: AccountId,
    },
    /// A value cannot be right.
    #[error("{name}: {reason}")]
    Invalid {
        /// The option or variable.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The token does not open.
    #[error("the token of account `{account}`")]
    Seal {
        /// The account.
        account: AccountId,
        /// Why; names `ENCRYPTION_KEY`.
        #[source]
        source: SealError,
    },
    /// Postgres did not answer as expected.
    #[error("the table of accounts")]
    Database(#[from] sqlx::Error),
}

/// An account to add, or to connect anew.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The channel.
    pub channel: Channel,
    /// The canonical id.
    pub id: AccountId,
    /// How it is connected.
    pub login: Login,
    /// Its token.
    pub token: Token,
    /// A name for people.
    pub name: Option<String>,
    /// The name of the app secret that may speak for it.
    pub app: Option<String>,
    /// The linked Page.
    pub page_id: Option<String>,
    /// Other ids of the same account.
    pub aliases: Vec<String>,
    /// The text of the automatic reply.
    pub auto_reply: Option<String>,
}

/// An account as `hookline accounts list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The account.
    pub account: Account,
    /// Why it is stopped.
    pub state_reason: Option<String>,
    /// Since when it is in its state.
    pub state_since: Timestamp,
    /// When it was added.
    pub added_at: Timestamp,
}

/// An account with its token: what a Graph call needs.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The account.
    pub account: Account,
    /// Its token.
    pub token: Token,
    /// The token as stored, so that a refusal stops this token and not one that has replaced it meanwhile.
    sealed: Vec<u8>,
}

impl Connected {
    /// An account with a token that is stored nowhere.
    pub const fn new(account: Account, token: Token) -> Self {
        Self { account, token, sealed: Vec::new() }
    }

    /// The token as stored: another one after every `accounts add`, even of the same token. Empty where it is stored nowhere.
    pub fn stored_token(&self) -> &[u8] {
        &self.sealed
    }
}

/// The table of accounts.
#[derive(Clone, Debug)]
pub struct AccountStore {
    pool: PgPool,
    seal: Seal,
}

const COLUMNS: &str = "select a.channel, a.id, a.login, a.name, a.app, a.page_id, a.auto_reply, a.state, a.state_reason, a.state_since,
       a.added_at, a.token,
       coalesce((select array_agg(alias order by alias) from worker.account_aliases x
                  where x.channel = a.channel and x.account_id = a.id), '{}') as aliases
  from worker.accounts a";

impl AccountStore {
    /// Accounts in `pool`, tokens sealed with `seal`.
    pub const fn new(pool: PgPool, seal: Seal) -> Self {
        Self { pool, seal }
    }

    /// Adds an account, or replaces what is stored of it. A new token makes a stopped account active again and wakes what waited for
    /// it. `true`: it was new.
    ///
    /// # Errors
    /// [`AccountError::AliasHasEvents`], [`AccountError::Taken`], [`AccountError::Invalid`] name what to change.
    pub async fn add(&self, new: &NewAccount) -> Result<bool, AccountError> {
        validate(new)?;
        let context = token_context(new.channel, new.id.as_str());
        let sealed = self
            .seal
            .seal(&context, new.token.expose())
            .map_err(|source| AccountError::Seal { account: new.id.clone(), source })?;
        let mut tx = self.pool.begin().await?;
        // Two additions at once must see each other's ids.
        sqlx::query("select 1 from worker.accounts_version for update").execute(&mut *tx).await?;
        self.refuse_taken(&mut tx, new).await?;
        let inserted: bool = sqlx::query_scalar(
            "insert into worker.accounts as a (channel, id, login, name, app, page_id, token, auto_reply)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (channel, id) do update
                set login = excluded.login, name = excluded.name, app = excluded.app, page_id = excluded.page_id,
                    token = excluded.token, auto_reply = excluded.auto_reply, state = 'active', state_reason = null,
                    state_since = case when a.state = 'active' then a.state_since else now() end, updated_at = now()
             returning xmax = 0",
        )
        .bind(new.channel.as_str())
        .bind(new.id.as_str())
        .bind(new.login.as_str())
        .bind(&new.name)
        .bind(&new.app)
        .bind(&new.page_id)
        .bind(sealed)
        .bind(&new.auto_reply)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query("delete from worker.account_aliases where channel = $1 and account_id = $2")
            .bind(new.channel.as_str())
            .bind(new.id.as_str())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into worker.account_aliases (channel, alias, account_id)
             select $1, alias, $2 from unnest($3::text[]) as t (alias) group by alias",
        )
        .bind(new.channel.as_str())
        .bind(new.id.as_str())
        .bind(&new.aliases)
        .execute(&mut *tx)
        .await?;
        wake(&mut tx, new.channel, &new.id).await?;
        tx.commit().await?;
        Ok(inserted)
    }

    async fn refuse_taken(
        &self,
        conn: &mut PgConnection,
        new: &NewAccount,
    ) -> Result<(), AccountError> {
        let mut ids = new.aliases.clone();
        ids.push(new.id.to_string());
        let taken = sqlx::query(
            "select alias as id, account_id as owner from worker.account_aliases
              where channel = $1 and account_id <> $2 and alias = any($3)
             union all
             select id, id from worker.accounts where channel = $1 and id <> $2 and id = any($3)
             limit 1",
        )
        .bind(new.channel.as_str())
        .bind(new.id.as_str())
        .bind(&ids)
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(row) = taken {
            return Err(AccountError::Taken {
                id: row.try_get("id")?,
                owner: AccountId::new(row.try_get::<String, _>("owner")?),
            });
        }
        // A Page id in a webhook stands for the account like an alias.
        let page = new.page_id.iter().filter(|page| **page != new.id.as_str());
        let names: Vec<&String> = new.aliases.iter().chain(page).collect();
        // What came for it before it was an account or an alias is `webhook.unrecognized`: no event of its own.
        let with_events: Option<String> = sqlx::query_scalar(
            "select t.alias from unnest($2::text[]) as t (alias)
              where exists (select 1 from worker.facts f
                             where f.channel = $1 and f.account_id = t.alias
                               and f.kind not in ('webhook.unrecognized', 'webhook.test'))
              limit 1",
        )
        .bind(new.channel.as_str())
        .bind(&names)
        .fetch_optional(&mut *conn)
        .await?;
        let Some(alias) = with_events else { return Ok(()) };
        let option = if new.aliases.contains(&alias) { "--alias" } else { "--page-id" };
        Err(AccountError::AliasHasEvents { option, alias, account: new.id.clone() })
    }

    /// All accounts, without tokens.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn list(&self) -> Result<Vec<AccountRow>, AccountError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} order by a.channel, a.id")))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(account_row).collect()
    }

    /// Removes an account and its token; its events stay. `false`: there was none.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn remove(&self, channel: Channel, id: &AccountId) -> Result<bool, AccountError> {
        let done = sqlx::query("delete from worker.accounts where channel = $1 and id = $2")
            .bind(channel.as_str())
            .bind(id.as_str())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// An account with its token opened, active or stopped; `None`: not in the list.
    ///
    /// # Errors
    /// [`AccountError::Seal`] when `ENCRYPTION_KEY` is another one than it was stored under.
    pub async fn get(
        &self,
        channel: Channel,
        id: &AccountId,
    ) -> Result<Option<Connected>, AccountError> {
        self.get_with(&self.pool, channel, id).await
    }

    /// The same with a connection that the caller holds already: one task never takes two, or all tasks may wait for each other.
    ///
    /// # Errors
    /// As [`AccountStore::get`].
    pub async fn get_with(
        &self,
        conn: impl sqlx::PgExecutor<'_>,
        channel: Channel,
        id: &AccountId,
    ) -> Result<Option<Connected>, AccountError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} where a.channel = $1 and a.id = $2"
        )))
        .bind(channel.as_str())
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
        row.map(|row| self.connected(&row)).transpose()
    }

    /// Another connection to the same account by the other kind of login, where one is stored and active: its token may read on the
    /// other host. Same means that their ids, aliases or Pages meet.
    ///
    /// # Errors
    /// As [`AccountStore::get`].
    pub async fn other_login(&self, account: &Account) -> Result<Option<Connected>, AccountError> {
        let mut ids = account.aliases.clone();
        ids.push(account.id.to_string());
        ids.extend(account.page_id.clone());
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} where a.login <> $1 and a.state = 'active'
                and (a.id = any($2) or a.page_id = any($2)
                     or exists (select 1 from worker.account_aliases x
                                 where x.channel = a.channel and x.account_id = a.id and x.alias = any($2)))
              order by a.channel, a.id limit 1"
        )))
        .bind(account.login.as_str())
        .bind(&ids)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| self.connected(&row)).transpose()
    }

    fn connected(&self, row: &PgRow) -> Result<Connected, AccountError> {
        let account = account_row(row)?.account;
        let sealed: Vec<u8> = row.try_get("token")?;
        let context = token_context(account.channel, account.id.as_str());
        match self.seal.open(&context, &sealed) {
            Ok(token) => Ok(Connected { account, token: Token::new(&token), sealed }),
            Err(source) => Err(AccountError::Seal { account: account.id, source }),
        }
    }

    /// Stops calls for an account whose token Meta refused, until somebody adds it again; what is queued waits. Nothing happens when
    /// another token has been stored meanwhile. `reason` names numbers, no content.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn stop(&self, refused: &Connected, reason: &str) -> Result<(), AccountError> {
        let account = &refused.account;
        let stopped = sqlx::query(
            "update worker.accounts set state = 'stopped', state_reason = $3, state_since = now(), updated_at = now()
              where channel = $1 and id = $2 and state = 'active' and token = $4",
        )
        .bind(account.channel.as_str())
        .bind(account.id.as_str())
        .bind(reason)
        .bind(&refused.sealed)
        .execute(&self.pool)
        .await?;
        if stopped.rows_affected() == 1 {
            tracing::error!(
                account.id = %account.id,
                "Stopped account `{}`: {reason}; add it again with a new token (`hookline accounts add`)", account.id
            );
            metrics::counter!("hookline_accounts_stopped_total").increment(1);
        }
        Ok(())
    }

    /// The accounts as webhooks need them.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn directory(&self) -> Result<Directory, AccountError> {
        directory(&self.pool).await
    }
}

/// The accounts as webhooks need them, with the version they were read at; needs no key.
///
/// # Errors
/// [`AccountError::Database`]
pub async fn directory(pool: &PgPool) -> Result<Directory, AccountError> {
    let mut tx = pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read read only")
        .execute(&mut *tx)
        .await?;
    let version: i64 = sqlx::query_scalar("select version from worker.accounts_version")
        .fetch_one(&mut *tx)
        .await?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} order by a.channel, a.id")))
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let accounts = rows
        .iter()
        .map(|row| Ok(account_row(row)?.account))
        .collect::<Result<Vec<_>, AccountError>>()?;
    Ok(Directory::new(version, accounts))
}

/// The version of the accounts: readers of an older one read again.
///
/// # Errors
/// Of the database.
pub async fn version(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select version from worker.accounts_version").fetch_one(conn).await
}

/// What waited for a token goes on; people whose profile was refused for a permission are asked for again if they wrote lately.
async fn wake(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
) -> Result<(), AccountError> {
    sqlx::query(
        "update worker.waiting set due_at = least(due_at, clock_timestamp())
          where channel = $1 and account_id = $2 and state in ('unresolved', 'content') and due_at is not null",
    )
    .bind(channel.as_str())
    .bind(id.as_str())
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update worker.contacts
            set refresh_after = clock_timestamp(), attempts = 0,
                due_at = case when clock_timestamp() - interval '7 days' < last_trigger_at then clock_timestamp() else due_at end
          where channel = $1 and account_id = $2 and answer = 'no_permission'",
    )
    .bind(channel.as_str())
    .bind(id.as_str())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

fn account_row(row: &PgRow) -> Result<AccountRow, AccountError> {
    let decode = |error: String| AccountError::Database(sqlx::Error::Decode(error.into()));
    let channel: String = row.try_get("channel")?;
    let login: String = row.try_get("login")?;
    let account = Account {
        channel: channel
            .parse()
            .map_err(|error: schemas::UnknownChannel| decode(error.to_string()))?,
        id: AccountId::new(row.try_get::<String, _>("id")?),
        login: Login::parse(&login).ok_or_else(|| decode(format!("`{login}` is no login")))?,
        app: row.try_get("app")?,
        page_id: row.try_get("page_id")?,
        aliases: row.try_get("aliases")?,
        name: row.try_get("name")?,
        auto_reply: row.try_get("auto_reply")?,
        stopped: row.try_get::<String, _>("state")? != "active",
    };
    Ok(AccountRow {
        account,
        state_reason: row.try_get("state_reason")?,
        state_since: Timestamp::from(row.try_get::<DateTime<Utc>, _>("state_since")?),
        added_at: Timestamp::from(row.try_get::<DateTime<Utc>, _>("added_at")?),
    })
}

/// What a sealed token is bound to.
fn token_context(channel: Channel, id: &str) -> String {
    format!("account-token/{channel}/{id}")
}

fn validate(new: &NewAccount) -> Result<(), AccountError> {
    let invalid = |name, reason| Err(AccountError::Invalid { name, reason });
    let is_id = |text: &str| {
        !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_id(new.id.as_str()) {
        return invalid("--id", "use the account's or Page's id as Meta writes it");
    }
    if new.aliases.iter().any(|alias| !is_id(alias)) {
        return invalid("--alias", "use an id as Meta writes it");
    }
    if new.aliases.iter().any(|alias| alias == new.id.as_str()) {
        return invalid("--alias", "an account is no alias of itself");
    }
    if new.page_id.as_deref().is_some_and(|page| !is_id(page)) {
        return invalid("--page-id", "use the Page's id as Meta writes it");
    }
    if new.login == Login::Instagram && new.channel == Channel::Messenger {
        return invalid("--login", "a Page is connected by Facebook Login: use `--login facebook`");
    }
    if new.token.expose().is_empty()
        || !new.token.expose().bytes().all(|byte| byte.is_ascii_graphic())
    {
        return invalid(
            "--token-env",
            "the variable is empty or holds something that is no access token",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> NewAccount {
        NewAccount {
            channel: Channel::Instagram,
            id: "17841400000000101".into(),
            login: Login::Instagram,
            token: Token::new("IGAA-token"),
            name: None,
            app: None,
            page_id: None,
            aliases: vec!["25500000000000101".to_owned()],
            auto_reply: None,
        }
    }

    #[test]
    fn what_cannot_be_right_is_named() {
        assert!(validate(&new()).is_ok());
        let refused = |change: fn(&mut NewAccount)| {
            let mut account = new();
            change(&mut account);
            validate(&account).unwrap_err().to_string()
        };
        assert!(refused(|account| account.id = "".into()).starts_with("--id"));
        assert!(refused(|account| account.aliases = vec!["a b".to_owned()]).starts_with("--alias"));
        assert!(
            refused(|account| account.aliases = vec![account.id.to_string()])
                .starts_with("--alias")
        );
        assert!(refused(|account| account.token = Token::new(" \n")).starts_with("--token-env"));
        assert!(
            refused(|account| account.token = Token::new("two words")).starts_with("--token-env")
        );
        assert!(refused(|account| account.channel = Channel::Messenger).starts_with("--login"));
        assert!(refused(|account| account.page_id = Some(String::new())).starts_with("--page-id"));
    }

    #[test]
    fn an_error_never_shows_the_token() {
        assert!(!format!("{:?}", new()).contains("IGAA"));
    }
}
