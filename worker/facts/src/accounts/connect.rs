//! Connecting an account by a login in a browser: it is stored as `accounts add` stores it, and what is known of it stays.

use schemas::{AccountId, Channel, Login};

use super::directory::Account;
use super::error::AccountError;
use super::grant::Grant;
use super::new_account::NewAccount;
use super::rows;
use super::store::AccountStore;
use super::token::Token;

/// An account that a person chose to connect.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// The channel.
    pub channel: Channel,
    /// The Instagram professional account id, or the Page id.
    pub id: AccountId,
    /// How it was authorised.
    pub login: Login,
    /// The app it was authorised for.
    pub app: String,
    /// Its token.
    pub token: Token,
    /// What Meta says of the token.
    pub grant: Grant,
    /// Its name, for people.
    pub name: Option<String>,
    /// Its handle, on Instagram.
    pub handle: Option<String>,
    /// The linked Page of an Instagram account.
    pub page_id: Option<String>,
    /// Other ids that Meta uses for it.
    pub other_ids: Vec<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewlyConnected {
    /// The account as it is stored: under the id it had, where it was known.
    pub account: Account,
    /// It was not known before.
    pub new: bool,
    /// Ids that Meta uses for it and that belong to another account, or have events of their own: they were left out.
    pub refused_ids: Vec<String>,
}

impl AccountStore {
    /// Stores an account with its new token. One that is known under any of its ids keeps its id, and with it its history, its name, its
    /// aliases and its automatic reply; a stopped one is active again, and what waited for it goes on.
    ///
    /// # Errors
    /// [`AccountError::AliasHasEvents`] for a Page id that is an account of its own on this channel, [`AccountError::Database`].
    pub async fn connect(&self, new: NewConnection) -> Result<NewlyConnected, AccountError> {
        let mut ids = vec![new.id.to_string()];
        ids.extend(new.other_ids.iter().cloned());
        let mut tx = self.pool().begin().await?;
        rows::lock(&mut tx).await?;
        let known = rows::known_as(&mut tx, new.channel, &ids).await?;
        let before = match &known {
            Some(id) => rows::find(&mut *tx, new.channel, id).await?.map(|(account, _)| account),
            None => None,
        };
        let kept = before.as_ref();
        let whole = NewAccount {
            channel: new.channel,
            id: kept.map_or(new.id, |account| account.id.clone()),
            login: new.login,
            token: new.token,
            name: kept.and_then(|account| account.name.clone()).or(new.name),
            app: Some(new.app),
            page_id: new.page_id.or_else(|| kept.and_then(|account| account.page_id.clone())),
            aliases: Vec::new(),
            auto_reply: kept.and_then(|account| account.auto_reply.clone()),
        };
        let inserted = self.put(&mut tx, &whole, &new.grant).await?;
        let Some((account, _)) = rows::find(&mut *tx, whole.channel, &whole.id).await? else {
            return Err(sqlx::Error::RowNotFound.into());
        };
        let learnt = Self::learn_in(&mut tx, &account, &ids, new.handle.as_deref()).await?;
        tx.commit().await?;
        Ok(NewlyConnected { account: learnt.account, new: inserted, refused_ids: learnt.refused })
    }
}
