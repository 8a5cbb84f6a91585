//! Disconnecting an account: its webhook fields are taken away, its token is destroyed.

use facts::accounts::directory::Account;
use facts::accounts::{AccountStore, Connected, Only};

use super::client::Graph;
use super::subscribe::{UpkeepError, unsubscribe};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// The token is destroyed; `false`: it was before.
    pub disconnected: bool,
    /// Meta took the webhook fields away. It does so by itself where the app was removed.
    pub unsubscribed: bool,
}

/// Takes the webhook fields away, as far as Meta answers, and destroys the token in any case. An account whose token
/// `only` spares stays as it is.
///
/// # Errors
/// [`UpkeepError::Store`]: nothing was changed here; call again.
pub async fn disconnect(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
    reason: &str,
    only: Only<'_>,
) -> Result<Disconnected, UpkeepError> {
    let account = &connected.account;
    if !accounts.may_disconnect(account.channel, &account.id, only).await? {
        return Ok(Disconnected { disconnected: false, unsubscribed: false });
    }
    let others: Vec<Account> = accounts
        .list()
        .await?
        .into_iter()
        .filter(|row| row.state != "disconnected")
        .map(|row| row.account)
        .filter(|other| (other.channel, &other.id) != (account.channel, &account.id))
        .collect();
    let unsubscribed = match connected.token.expose().is_empty() {
        true => false,
        false => match unsubscribe(graph, connected, &others).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    account.id = %account.id, %error, "Could not take the webhook fields of account `{}` away", account.id
                );
                false
            }
        },
    };
    let disconnected = accounts.disconnect(account.channel, &account.id, reason, only).await?;
    Ok(Disconnected { disconnected, unsubscribed })
}
