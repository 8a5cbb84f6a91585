//! How the tokens of accounts stand and which webhook fields Meta granted: what the worker keeps up by itself.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::PgConnection;

use super::directory::Account;
use super::error::AccountError;
use super::only::Only;
pub use super::standing::{
    Attention, FieldRow, Heard, MissingScope, NewToken, Scopes, Shown, Standing,
};
use super::store::{AccountStore, Connected};
use super::token::Token;
use super::{disconnect_rows, rows, upkeep_rows};
use crate::follow_up::{waiting, wants};

impl AccountStore {
    /// Accounts whose time has come, the longest due first.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn upkeep_due(&self, max: i64) -> Result<Vec<Standing>, AccountError> {
        Ok(upkeep_rows::due(self.pool(), max).await?)
    }

    /// How one account stands; `None`: there is none.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn standing(
        &self,
        channel: Channel,
        id: &AccountId,
    ) -> Result<Option<Standing>, AccountError> {
        Ok(upkeep_rows::standing(self.pool(), channel, id).await?)
    }

    /// Adds the row of upkeep to accounts that have none, such as those that an older version has added.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn upkeep_missing(&self) -> Result<(), AccountError> {
        Ok(upkeep_rows::add_missing(self.pool()).await?)
    }

    /// When an account is to be looked at again.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn upkeep_again(
        &self,
        channel: Channel,
        id: &AccountId,
        at: Timestamp,
    ) -> Result<(), AccountError> {
        Ok(upkeep_rows::set_due(self.pool(), channel, id, at).await?)
    }

    /// Stores what Meta shows of a token, before the webhook fields are asked for.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn shown(&self, account: &Account, shown: &Shown) -> Result<(), AccountError> {
        Ok(upkeep_rows::shown(self.pool(), account, shown).await?)
    }

    /// Meta accepted the token, and [`AccountStore::shown`] has stored what it shows. A failure is noted with its numbers.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn looked(
        &self,
        account: &Account,
        outcome: Result<(), &str>,
    ) -> Result<(), AccountError> {
        match outcome {
            Ok(()) => upkeep_rows::looked(self.pool(), account).await?,
            Err(error) => upkeep_rows::look_failed(self.pool(), account, error).await?,
        }
        Ok(())
    }

    /// Replaces what is known of the webhook fields of one object.
    ///
    /// # Errors
    /// [`AccountError::Database`]; nothing is changed.
    pub async fn store_fields(
        &self,
        account: &Account,
        object: &str,
        fields: &[FieldRow],
    ) -> Result<(), AccountError> {
        let mut tx = self.pool().begin().await?;
        upkeep_rows::put_fields(&mut tx, account, object, fields).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The webhook fields of an account as they were last seen.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn fields(
        &self,
        channel: Channel,
        id: &AccountId,
    ) -> Result<Vec<FieldRow>, AccountError> {
        Ok(upkeep_rows::fields(self.pool(), channel, id).await?)
    }
}

/// Replacing a token. At every moment one that works is stored: the new one stands beside the old one until it has answered.
impl AccountStore {
    /// Writes down that a new token is about to be asked for: a try that a crash ends counts.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn begin_refresh(&self, account: &Account) -> Result<(), AccountError> {
        Ok(upkeep_rows::begin_refresh(self.pool(), account).await?)
    }

    /// Notes why no new token came.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn refresh_failed(&self, account: &Account, error: &str) -> Result<(), AccountError> {
        Ok(upkeep_rows::refresh_failed(self.pool(), account, error).await?)
    }

    /// Stores a new token beside the one that is in use. `false`: the one in use is another one meanwhile, and the new one is dropped.
    ///
    /// # Errors
    /// [`AccountError::Database`], [`AccountError::Seal`]
    pub async fn keep_next(
        &self,
        connected: &Connected,
        new: &NewToken,
    ) -> Result<bool, AccountError> {
        let sealed = self.sealed(&connected.account, &new.token)?;
        let stored = connected.stored_token();
        Ok(upkeep_rows::keep_next(self.pool(), &connected.account, stored, &sealed, new).await?)
    }

    /// The new token of an account that has not answered yet.
    ///
    /// # Errors
    /// [`AccountError::Database`], [`AccountError::Seal`]
    pub async fn next_token(
        &self,
        channel: Channel,
        id: &AccountId,
    ) -> Result<Option<Connected>, AccountError> {
        let Some((account, _)) = rows::find(self.pool(), channel, id).await? else {
            return Ok(None);
        };
        match upkeep_rows::next(self.pool(), channel, id).await? {
            Some(sealed) => self.open(account, sealed).map(Some),
            None => Ok(None),
        }
    }

    /// The new token has answered: it replaces the old one, and an account that was stopped goes on with all that waited. `false`: it is not
    /// the one that is stored any more.
    ///
    /// # Errors
    /// [`AccountError::Database`]; nothing is changed.
    pub async fn use_next(&self, next: &Connected) -> Result<bool, AccountError> {
        let account = &next.account;
        let mut tx = self.pool().begin().await?;
        let used = upkeep_rows::use_next(&mut tx, account, next.stored_token()).await?;
        if used {
            waiting::retry_account(&mut tx, account.channel, &account.id).await?;
            wants::retry_refused(&mut tx, account.channel, &account.id).await?;
        }
        tx.commit().await?;
        Ok(used)
    }

    /// Meta does not accept the new token: it is dropped, the old one stays.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn drop_next(&self, next: &Connected, error: &str) -> Result<(), AccountError> {
        let stored = next.stored_token();
        Ok(upkeep_rows::drop_next(self.pool(), &next.account, stored, error).await?)
    }

    /// Whether the account is connected, and its token is the one that a disconnection is about.
    ///
    /// # Errors
    /// [`AccountError::Database`]
    pub async fn may_disconnect(
        &self,
        channel: Channel,
        id: &AccountId,
        only: Only<'_>,
    ) -> Result<bool, AccountError> {
        let mut tx = self.pool().begin().await?;
        let may = disconnect_rows::may_disconnect(&mut tx, channel, id, only).await?;
        tx.rollback().await?;
        Ok(may)
    }

    /// Destroys the token of an account. What is queued for it ends with `account_disconnected`, its history stays. `false`: it was
    /// disconnected already, is not there, or has a token that `only` spares.
    ///
    /// # Errors
    /// [`AccountError::Database`], [`AccountError::Seal`]; nothing is changed.
    pub async fn disconnect(
        &self,
        channel: Channel,
        id: &AccountId,
        reason: &str,
        only: Only<'_>,
    ) -> Result<bool, AccountError> {
        let mut tx = self.pool().begin().await?;
        let done = self.disconnect_in(&mut tx, channel, id, reason, only).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// The same in the caller's transaction.
    ///
    /// # Errors
    /// [`AccountError::Database`], [`AccountError::Seal`]; roll back.
    pub(super) async fn disconnect_in(
        &self,
        conn: &mut PgConnection,
        channel: Channel,
        id: &AccountId,
        reason: &str,
        only: Only<'_>,
    ) -> Result<bool, AccountError> {
        if !disconnect_rows::may_disconnect(&mut *conn, channel, id, only).await? {
            return Ok(false);
        }
        let nothing = self.sealed_for(channel, id, &Token::new(""))?;
        disconnect_rows::disconnect(conn, channel, id, &nothing, reason).await?;
        tracing::warn!(
            account.id = %id,
            "Disconnected account `{id}`: {reason}; connect it again with `hookline accounts add`"
        );
        metrics::counter!("hookline_accounts_disconnected_total").increment(1);
        Ok(true)
    }
}

/// How every account stands.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table where the worker has not migrated yet.
pub async fn attention(pool: &sqlx::PgPool) -> sqlx::Result<Vec<Attention>> {
    upkeep_rows::attention(pool).await
}
