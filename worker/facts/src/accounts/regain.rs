//! Accounts of which events are known and nothing else: they are stopped until somebody adds them again.

use std::collections::BTreeSet;

use schemas::{AccountId, Channel};
use sqlx::PgConnection;

use super::directory::{Account, Login};
use super::store::token_context;
use super::{rows, upkeep_rows};
use crate::error::FactError;
use crate::seal::Seal;

/// Why such an account is stopped.
pub const REASON: &str = "its token was lost with Postgres";

/// Adds accounts that are not there, stopped and without a token. What is there stays as it is.
///
/// # Errors
/// [`FactError`]; roll back.
pub(crate) async fn regain<'a>(
    conn: &mut PgConnection,
    seal: &Seal,
    accounts: impl Iterator<Item = (Channel, &'a AccountId)>,
) -> Result<(), FactError> {
    let accounts: BTreeSet<(Channel, &AccountId)> = accounts.collect();
    for (channel, id) in accounts {
        if rows::find(&mut *conn, channel, id).await?.is_some() {
            continue;
        }
        // How it was connected is known of a Page only; `accounts add` says it.
        let login = match channel {
            Channel::Instagram => Login::Instagram,
            Channel::Messenger => Login::Facebook,
        };
        let sealed = seal.seal(&token_context(channel, id), "")?;
        rows::add_stopped(conn, channel, id, login, &sealed, REASON).await?;
        // Callbacks that came in before are about a connection that is lost: they end nothing that waits for `accounts add`.
        upkeep_rows::start_stopped(conn, channel, id).await?;
    }
    Ok(())
}

/// Adds another id under which Meta's webhooks name an account.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn alias(conn: &mut PgConnection, account: &Account, alias: &str) -> sqlx::Result<()> {
    rows::add_learnt_alias(conn, account, alias).await
}
