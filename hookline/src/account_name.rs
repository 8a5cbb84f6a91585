//! Accounts as operators name them: `ID` or `CHANNEL/ID`.

use schemas::{AccountId, Channel};
use sqlx::PgPool;
use worker::facts::accounts::overview;
use worker::outbound::admin::Whose;

use crate::exit::Failure;

/// Reads `ID` or `CHANNEL/ID`; `argument` is what the value was given as, such as `--account`.
///
/// # Errors
/// Exit code 2 naming what is wrong.
pub(crate) fn parse(argument: &str, text: &str) -> anyhow::Result<Whose> {
    let (channel, id) = match text.split_once('/') {
        Some((channel, id)) => {
            let channel: Channel =
                channel.parse().map_err(|error| Failure::usage(format!("{argument}: {error}")))?;
            (Some(channel), id)
        }
        None => (None, text),
    };
    if id.is_empty() {
        return Err(Failure::usage(format!("{argument}: use ID or CHANNEL/ID")));
    }
    Ok(Whose { channel, account: AccountId::new(id) })
}

/// The one connected account of this name: a name that matches nothing must not look like success.
///
/// # Errors
/// Exit code 2 where there is none, or one on each channel.
pub(crate) async fn connected(
    pool: &PgPool,
    argument: &str,
    text: &str,
) -> anyhow::Result<(Channel, AccountId)> {
    let whose = parse(argument, text)?;
    let found = overview::channels_of(pool, &whose.account, whose.channel).await?;
    match found.as_slice() {
        [channel] => Ok((*channel, whose.account)),
        [] => Err(Failure::usage(format!(
            "{argument}: no account `{text}`; `hookline accounts list` shows them"
        ))),
        _ => Err(Failure::usage(format!(
            "{argument}: `{text}` is an account on both channels: write instagram/{0} or messenger/{0}",
            whose.account
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_with_or_without_its_channel() {
        let named = parse("--account", "messenger/103000000000301").unwrap();
        assert_eq!(named.channel, Some(Channel::Messenger));
        assert_eq!(named.account.as_str(), "103000000000301");
        assert_eq!(parse("--account", "103000000000301").unwrap().channel, None);
        for wrong in ["telegram/1", "instagram/", ""] {
            assert!(parse("--account", wrong).is_err(), "{wrong}");
        }
    }
}
