//! What people do to the ledger: `hookline replies list|resolve`, `hookline send freeze|thaw`. Needs nothing but Postgres.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{PgPool, Row};

use super::decide::State;
use super::ledger::{self, SettledBy};
use super::outcome::own_error;
use super::state;

/// A command whose outcome nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its id (`reply_id`).
    pub command_id: String,
    /// Its name.
    pub command: String,
    /// The channel.
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// The conversation, where there is one.
    pub conversation_id: Option<String>,
    /// Since when.
    pub parked_at: Option<Timestamp>,
    /// How often it was attempted.
    pub attempts: i64,
}

/// What a person found out about a parked send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was delivered.
    Sent,
    /// It was not; it is not sent again by itself.
    NotSent,
}

/// Why a parked send cannot be settled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No command has this id.
    #[error("no command `{0}`: `hookline replies list` shows what is parked")]
    NotFound(String),
    /// Several accounts have a command of this id.
    #[error("several accounts have a command `{0}`: name the account")]
    Ambiguous(String),
    /// Its outcome is known.
    #[error("the outcome of `{id}` is not unknown: it is `{state}`")]
    NotParked {
        /// The command.
        id: String,
        /// Its state.
        state: String,
    },
    /// Postgres did not answer as expected.
    #[error("the ledger")]
    Database(#[from] sqlx::Error),
}

/// What is parked, oldest first.
///
/// # Errors
/// Of the database.
pub async fn parked(pool: &PgPool, max: i64) -> sqlx::Result<Vec<Parked>> {
    let rows = sqlx::query(
        "select c.command_id, c.command, c.channel, c.account_id, c.conversation_id, c.finished_at,
                (select coalesce(sum(p.attempt), 0) from worker.parts p where p.identity = c.identity)::bigint as attempts
           from worker.commands c where c.state = 'unknown' order by c.finished_at limit $1",
    )
    .bind(max)
    .fetch_all(pool)
    .await?;
    let parked = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Parked> {
        Ok(Parked {
            command_id: row.try_get("command_id")?,
            command: row.try_get("command")?,
            channel: row.try_get("channel")?,
            account_id: row.try_get("account_id")?,
            conversation_id: row.try_get("conversation_id")?,
            parked_at: ledger::time(row, "finished_at")?,
            attempts: row.try_get("attempts")?,
        })
    };
    rows.iter().map(parked).collect()
}

/// Settles a parked send as a person found it; its outcome is published by a worker. A later echo still overrules.
///
/// # Errors
/// [`ResolveError`]
pub async fn resolve(
    pool: &PgPool,
    command_id: &str,
    account: Option<&AccountId>,
    finding: Finding,
    by: &str,
) -> Result<(), ResolveError> {
    let mut tx = pool.begin().await?;
    let identities: Vec<String> = sqlx::query_scalar(
        "select identity from worker.commands
          where command_id = $1 and position('#' in identity) = 0 and ($2::text is null or account_id = $2)",
    )
    .bind(command_id)
    .bind(account.map(AccountId::as_str))
    .fetch_all(&mut *tx)
    .await?;
    let identity = match identities.as_slice() {
        [] => return Err(ResolveError::NotFound(command_id.to_owned())),
        [identity] => identity,
        _ => return Err(ResolveError::Ambiguous(command_id.to_owned())),
    };
    let Some(command) = ledger::lock(&mut tx, identity).await? else {
        return Err(ResolveError::NotFound(command_id.to_owned()));
    };
    if command.state != "unknown" {
        return Err(ResolveError::NotParked { id: command_id.to_owned(), state: command.state });
    }
    let now = ledger::now(&mut tx).await?;
    for part in ledger::parts(&mut tx, identity).await? {
        if part.state != State::Unknown {
            continue;
        }
        match finding {
            Finding::Sent => {
                // When Meta took it is not known; the attempt's start is the nearest that is.
                let at = part.started_at.unwrap_or(now);
                ledger::mark_sent(&mut tx, &command, part.n, None, at, SettledBy::Person).await?;
            }
            Finding::NotSent => {
                let error =
                    own_error("not_sent", "unknown", "a person looked and found it not sent");
                ledger::mark_failed(&mut tx, identity, part.n, &error).await?;
            }
        }
    }
    ledger::conclude(&mut tx, &command, None).await?;
    tx.commit().await?;
    tracing::info!(command.id = command_id, by, ?finding, "Settled command `{command_id}`");
    Ok(())
}

/// What a freeze covers.
#[derive(Clone, Copy, Debug)]
pub enum FreezeScope<'a> {
    /// Everything.
    All,
    /// One account.
    Account(Channel, &'a AccountId),
    /// One conversation, by its id.
    Conversation(&'a str),
}

impl FreezeScope<'_> {
    /// As `worker.freezes.scope` has it.
    pub fn key(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Account(channel, id) => format!("account:{channel}/{id}"),
            Self::Conversation(id) => format!("conversation:{id}"),
        }
    }
}

/// Sends nothing in this scope from now on: commands wait in the ledger, and the next claim already sees it. `false`: it was frozen.
///
/// # Errors
/// Of the database.
pub async fn freeze(pool: &PgPool, scope: FreezeScope<'_>, by: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("insert into worker.freezes (scope, frozen_by) values ($1, $2) on conflict (scope) do nothing")
        .bind(scope.key())
        .bind(by)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a freeze; what waits goes out if the policy still allows it. `false`: there was none of exactly this scope.
///
/// # Errors
/// Of the database.
pub async fn thaw(pool: &PgPool, scope: FreezeScope<'_>) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let done = sqlx::query("delete from worker.freezes where scope = $1")
        .bind(scope.key())
        .execute(&mut *tx)
        .await?
        .rows_affected();
    sqlx::query(
        "update worker.commands set due_at = clock_timestamp(), held = null
          where identity in (select identity from worker.commands where state = 'open' and held = 'frozen' for update skip locked)",
    )
    .execute(&mut *tx)
    .await?;
    state::wake(&mut tx).await?;
    tx.commit().await?;
    Ok(done == 1)
}

/// All freezes: scope, by whom, since when.
///
/// # Errors
/// Of the database.
pub async fn freezes(pool: &PgPool) -> sqlx::Result<Vec<(String, String, Timestamp)>> {
    let rows = sqlx::query("select scope, frozen_by, since from worker.freezes order by scope")
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| {
            let since = ledger::time(row, "since")?.unwrap_or(Timestamp::EPOCH);
            Ok((row.try_get("scope")?, row.try_get("frozen_by")?, since))
        })
        .collect()
}
