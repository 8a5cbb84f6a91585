//! Disconnecting an account: its webhook fields are taken away, its token is destroyed.

use facts::accounts::{AccountStore, Connected};

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

/// Takes the webhook fields away, as far as Meta answers, and destroys the token in any case.
///
/// # Errors
/// [`UpkeepError::Store`]: nothing was changed here; call again.
pub async fn disconnect(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
    reason: &str,
) -> Result<Disconnected, UpkeepError> {
    let account = &connected.account;
    let unsubscribed = match connected.token.expose().is_empty() {
        true => false,
        false => match unsubscribe(graph, connected).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    account.id = %account.id, %error, "Could not take the webhook fields of account `{}` away", account.id
                );
                false
            }
        },
    };
    let disconnected = accounts.disconnect(account.channel, &account.id, reason).await?;
    Ok(Disconnected { disconnected, unsubscribed })
}
