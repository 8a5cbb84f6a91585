//! What a freeze covers, found among the accounts and conversations that exist.

use schemas::{AccountId, Channel};
use sqlx::PgPool;
use worker::outbound::admin::{self, FreezeScope};

use crate::account_name;
use crate::exit::Failure;

/// An account or conversation that exists.
#[derive(Debug)]
pub(crate) enum KnownScope {
    All,
    Account(Channel, AccountId),
    Conversation(String),
}

impl KnownScope {
    pub(crate) fn borrowed(&self) -> FreezeScope<'_> {
        match self {
            Self::All => FreezeScope::All,
            Self::Account(channel, account) => FreezeScope::Account(*channel, account),
            Self::Conversation(id) => FreezeScope::Conversation(id),
        }
    }

    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::All => "everything".to_owned(),
            Self::Account(channel, account) => format!("account {channel}/{account}"),
            Self::Conversation(id) => format!("conversation {id}"),
        }
    }
}

/// The scope of these names. Unknown ones are refused: a freeze of a misspelt name would look as if it worked. `of_account` and
/// `of_conversation` are what the values were given as, such as `--account`.
///
/// # Errors
/// Exit code 2 for an account or conversation that nobody knows, or that do not belong together.
pub(crate) async fn find(
    pool: &PgPool,
    [of_account, of_conversation]: [&str; 2],
    account: Option<&str>,
    conversation: Option<&str>,
) -> anyhow::Result<KnownScope> {
    let account = match account {
        Some(text) => Some(account_name::connected(pool, of_account, text).await?),
        None => None,
    };
    let Some(conversation) = conversation else {
        return Ok(
            account.map_or(KnownScope::All, |(channel, id)| KnownScope::Account(channel, id))
        );
    };
    let Some((channel, owner)) = admin::account_of(pool, conversation).await? else {
        return Err(Failure::usage(format!("{of_conversation}: no conversation `{conversation}`")));
    };
    match account {
        Some((wanted, id)) if wanted.as_str() != channel || id.as_str() != owner => {
            Err(Failure::usage(format!(
                "{of_conversation}: `{conversation}` is one of {channel}/{owner}, not of {wanted}/{id}"
            )))
        }
        _ => Ok(KnownScope::Conversation(conversation.to_owned())),
    }
}
