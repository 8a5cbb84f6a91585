//! Accounts with their tokens sealed; the statements are in `rows`.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::directory::{Account, Directory};
use super::error::AccountError;
use super::grant::Grant;
use super::new_account::{NewAccount, validate};
use super::only::Only;
use super::refusal::Refusal;
use super::token::Token;
use super::{rows, upkeep_rows};
use crate::follow_up::{waiting, wants};
use crate::seal::Seal;

/// An account as `hookline accounts list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The account.
    pub account: Account,
    /// `active`, `stopped` or `disconnected`.
    pub state: String,
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

impl From<rows::Listed> for AccountRow {
    fn from(row: rows::Listed) -> Self {
        Self {
            state: row.state.clone(),
            state_reason: row.state_reason.clone(),
            state_since: row.state_since,
            added_at: row.added_at,
            account: row.into_account(),
        }
    }
}

/// Accounts in Postgres.
#[derive(Clone, Debug)]
pub struct AccountStore {
    pool: PgPool,
    seal: Seal,
}

impl AccountStore {
    /// Accounts in `pool`, tokens sealed with `seal`.
    pub const fn new(pool: PgPool, seal: Seal) -> Self {
        Self { pool, seal }
    }

    pub(super) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Adds an account, or replaces what is stored of it. A new token makes a stopped account active again and wakes what waited for
    /// it. `true`: it was new.
    ///
    /// # Errors
    /// [`AccountError::AliasHasEvents`], [`AccountError::Taken`], [`AccountError::Invalid`] name what to change.
    pub async fn add(&self, new: &NewAccount) -> Result<bool, AccountError> {
        let mut tx = self.pool.begin().await?;
        rows::lock(&mut tx).await?;
        let inserted = self.put(&mut tx, new, &Grant::default()).await?;
        rows::store_aliases(&mut tx, new).await?;
        tx.commit().await?;
        Ok(inserted)
    }

    /// Stores an account without its aliases, and wakes what waited for a token. The caller holds [`rows::lock`].
    pub(super) async fn put(
        &self,
        conn: &mut PgConnection,
        new: &NewAccount,
        grant: &Grant,
    ) -> Result<bool, AccountError> {
        validate(new)?;
        let sealed = self.sealed_for(new.channel, &new.id, &new.token)?;
        refuse_taken(conn, new).await?;
        let inserted = rows::store(conn, new, &sealed).await?;
        upkeep_rows::start(conn, new.channel, &new.id, grant).await?;
        waiting::retry_account(conn, new.channel, &new.id).await?;
        wants::retry_refused(conn, new.channel, &new.id).await?;
        Ok(inserted)
    }

    /// All accounts, without tokens.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn list(&self) -> Result<Vec<AccountRow>, AccountError> {
        Ok(rows::list(&self.pool).await?.into_iter().map(AccountRow::from).collect())
    }

    /// Removes an account and its token; its events stay. `false`: there was none.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn remove(&self, channel: Channel, id: &AccountId) -> Result<bool, AccountError> {
        Ok(rows::remove(&self.pool, channel, id).await?)
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
        let found = rows::find(conn, channel, id).await?;
        found.map(|(account, sealed)| self.open(account, sealed)).transpose()
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
        let found = rows::find_other_login(&self.pool, account.login, &ids).await?;
        found.map(|(account, sealed)| self.open(account, sealed)).transpose()
    }

    pub(super) fn sealed(&self, account: &Account, token: &Token) -> Result<Vec<u8>, AccountError> {
        self.sealed_for(account.channel, &account.id, token)
    }

    pub(super) fn sealed_for(
        &self,
        channel: Channel,
        id: &AccountId,
        token: &Token,
    ) -> Result<Vec<u8>, AccountError> {
        self.seal
            .seal(&token_context(channel, id), token.expose())
            .map_err(|source| AccountError::Seal { account: id.clone(), source })
    }

    pub(super) fn open(
        &self,
        account: Account,
        sealed: Vec<u8>,
    ) -> Result<Connected, AccountError> {
        let context = token_context(account.channel, &account.id);
        match self.seal.open(&context, &sealed) {
            Ok(token) => Ok(Connected { account, token: Token::new(&token), sealed }),
            Err(source) => Err(AccountError::Seal { account: account.id, source }),
        }
    }

    /// Stops calls for an account whose token Meta refused, until somebody adds it again; what is queued waits. Where the app was removed
    /// it is disconnected. Nothing happens when another token has been stored meanwhile.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn stop(&self, refused: &Connected, why: &Refusal) -> Result<(), AccountError> {
        let (account, reason) = (&refused.account, why.reason.as_str());
        if why.app_removed {
            let only = Only::Stored(&refused.sealed);
            self.disconnect(account.channel, &account.id, reason, only).await?;
            return Ok(());
        }
        if rows::stop(&self.pool, account, &refused.sealed, reason).await? {
            tracing::error!(
                account.id = %account.id,
                "Stopped account `{}`: {reason}; add it again with a new token (`hookline accounts add`)", account.id
            );
            metrics::counter!("hookline_accounts_stopped_total").increment(1);
        }
        Ok(())
    }
}

impl AccountStore {
    /// Stores the ids and the handle that Graph uses for an account, where they are new, and returns the account with them. An id of another
    /// account, or one with events of its own, is left out and named.
    ///
    /// # Errors
    /// [`AccountError::Database`]; nothing is stored.
    pub async fn learn(
        &self,
        account: &Account,
        ids: &[String],
        handle: Option<&str>,
    ) -> Result<Learnt, AccountError> {
        let new = ids.iter().any(|id| !account.is_self(id));
        if !new && handle.is_none_or(|handle| account.handle.as_deref() == Some(handle)) {
            return Ok(Learnt { account: account.clone(), refused: Vec::new() });
        }
        let mut tx = self.pool.begin().await?;
        rows::lock(&mut tx).await?;
        let learnt = Self::learn_in(&mut tx, account, ids, handle).await?;
        tx.commit().await?;
        Ok(learnt)
    }

    /// The same in a transaction of the caller, who holds [`rows::lock`].
    pub(super) async fn learn_in(
        conn: &mut PgConnection,
        account: &Account,
        ids: &[String],
        handle: Option<&str>,
    ) -> Result<Learnt, AccountError> {
        let mut refused = Vec::new();
        for id in ids.iter().filter(|id| !account.is_self(id)) {
            let one = std::slice::from_ref(id);
            let taken = rows::taken(conn, account.channel, &account.id, one).await?.is_some();
            let own = crate::rows::account_with_events(conn, account.channel, &[id]).await?;
            if taken || own.is_some() {
                refused.push(id.clone());
            } else {
                rows::add_learnt_alias(conn, account, id).await?;
            }
        }
        if let Some(handle) = handle.filter(|handle| account.handle.as_deref() != Some(*handle)) {
            rows::set_handle(conn, account, handle).await?;
        }
        let found = rows::find(conn, account.channel, &account.id).await?;
        let account = found.map_or_else(|| account.clone(), |(account, _)| account);
        Ok(Learnt { account, refused })
    }
}

/// What became of the ids that Graph uses for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// The account, with them.
    pub account: Account,
    /// Ids that were left out: of another account, or with events of their own.
    pub refused: Vec<String>,
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
    let version = rows::version(&mut tx).await?;
    let listed = rows::list(&mut *tx).await?;
    tx.commit().await?;
    Ok(Directory::new(version, listed.into_iter().map(rows::Listed::into_account).collect()))
}

/// The version of the accounts: readers of an older one read again.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn version(conn: &mut PgConnection) -> sqlx::Result<i64> {
    rows::version(conn).await
}

/// The same, with the database's clock, which all workers share.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn version_and_clock(conn: &mut PgConnection) -> sqlx::Result<(i64, Timestamp)> {
    rows::version_and_clock(conn).await
}

async fn refuse_taken(conn: &mut PgConnection, new: &NewAccount) -> Result<(), AccountError> {
    let mut ids = new.aliases.clone();
    ids.push(new.id.to_string());
    if let Some(taken) = rows::taken(conn, new.channel, &new.id, &ids).await? {
        return Err(AccountError::Taken { id: taken.id, owner: taken.owner });
    }
    // A Page id in a webhook stands for the account like an alias.
    let page = new.page_id.iter().filter(|page| **page != new.id.as_str());
    let names: Vec<&String> = new.aliases.iter().chain(page).collect();
    let Some(alias) = crate::rows::account_with_events(conn, new.channel, &names).await? else {
        return Ok(());
    };
    let option = if new.aliases.contains(&alias) { "--alias" } else { "--page-id" };
    Err(AccountError::AliasHasEvents { option, alias, account: new.id.clone() })
}

/// What a sealed token is bound to.
pub(crate) fn token_context(channel: Channel, id: &AccountId) -> String {
    format!("account-token/{channel}/{id}")
}
