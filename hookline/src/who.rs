//! Who acts, on whose behalf, and the record of it: accounts as operators name them.

use runtime::ops::{Act, Ops};
use schemas::{AccountId, Channel};
use serde_json::Value;
use sqlx::PgPool;
use worker::outbound::admin::Whose;

use crate::exit::Failure;

/// The name of whoever runs the verb, for the record.
pub fn operator() -> String {
    ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "operator".to_owned())
}

/// Records an act of whoever runs the verb. Arguments and result hold ids and counts, never a person's words.
///
/// # Errors
/// Of the database; the act itself is not undone.
pub async fn record(
    pool: &PgPool,
    verb: &str,
    arguments: Value,
    reason: Option<&str>,
    result: Value,
) -> anyhow::Result<()> {
    let by = operator();
    let act = Act { who: &by, verb, arguments, reason, job: None, result: Some(result) };
    Ok(Ops::open(pool.clone()).await?.record(act).await?)
}

/// Reads `ID` or `CHANNEL/ID`.
///
/// # Errors
/// Exit code 2 naming what is wrong.
pub fn whose(text: &str) -> anyhow::Result<Whose> {
    let (channel, id) = match text.split_once('/') {
        Some((channel, id)) => {
            let channel: Channel =
                channel.parse().map_err(|error| Failure::usage(format!("--account: {error}")))?;
            (Some(channel), id)
        }
        None => (None, text),
    };
    if id.is_empty() {
        return Err(Failure::usage("--account: use ID or CHANNEL/ID"));
    }
    Ok(Whose { channel, account: AccountId::new(id) })
}

/// The one account that is meant, which must be connected: a word that matches nothing must not look like success.
///
/// # Errors
/// Exit code 2 where there is none, or one on each channel.
pub async fn account(pool: &PgPool, text: &str) -> anyhow::Result<(Channel, AccountId)> {
    let whose = whose(text)?;
    let found: Vec<String> = sqlx::query_scalar(
        "select channel from worker.accounts where id = $1 and ($2::text is null or channel = $2) order by channel",
    )
    .bind(whose.account.as_str())
    .bind(whose.channel.map(Channel::as_str))
    .fetch_all(pool)
    .await?;
    match found.as_slice() {
        [channel] => {
            let channel = channel.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
            Ok((channel, whose.account))
        }
        [] => {
            Err(Failure::usage(format!("no account `{text}`: `hookline accounts list` shows them")))
        }
        _ => Err(Failure::usage(format!(
            "`{text}` is an account on both channels: write instagram/{0} or messenger/{0}",
            whose.account
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_with_or_without_its_channel() {
        let named = whose("messenger/103000000000301").unwrap();
        assert_eq!(named.channel, Some(Channel::Messenger));
        assert_eq!(named.account.as_str(), "103000000000301");
        assert_eq!(whose("103000000000301").unwrap().channel, None);
        for wrong in ["telegram/1", "instagram/", ""] {
            assert!(whose(wrong).is_err(), "{wrong}");
        }
    }
}
