//! What people do to the ledger: `hookline replies list|resolve`, `hookline send freeze|thaw`. Needs nothing but Postgres.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{PgPool, Row};

use super::decide::State;
use super::ledger::{self, SettledBy};
use super::outcome::own_error;
use facts::follow_up::conversation_state;

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
    /// The person, where there is one: whose conversation to look into.
    pub contact_id: Option<String>,
    /// Since when.
    pub parked_at: Option<Timestamp>,
    /// When the attempt began whose outcome is unknown: look there.
    pub attempted_at: Option<Timestamp>,
    /// How often it was attempted.
    pub attempts: i64,
    /// Which part is unknown, from 1, and of how many.
    pub part: (i64, i64),
    /// What that part was to say; nobody's but an operator's eyes need it.
    pub text: Option<String>,
}

/// Which account an operator means; without a channel, either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The channel.
    pub channel: Option<Channel>,
    /// The account.
    pub account: AccountId,
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
    #[error("several accounts have a command `{0}`: name the account with --account CHANNEL/ID")]
    Ambiguous(String),
    /// Its outcome is known.
    #[error("the outcome of `{id}` is not unknown: it is `{state}`")]
    NotParked {
        /// The command.
        id: String,
        /// Its state.
        state: String,
    },
    /// The message that is named belongs to another command.
    #[error("message `{message_id}` is the effect of command `{command_id}`: look again")]
    Taken {
        /// The message.
        message_id: String,
        /// Whose effect it is.
        command_id: String,
    },
    /// Postgres did not answer as expected.
    #[error("the ledger")]
    Database(#[from] sqlx::Error),
}

/// What settling has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The command.
    pub command_id: String,
    /// Its account.
    pub account: (Channel, AccountId),
    /// Its state now: `sent`, `failed`, `partial`.
    pub state: String,
    /// Parts that were not sent because of it, and will not be.
    pub skipped: usize,
}

/// What is parked, oldest first.
///
/// # Errors
/// Of the database.
pub async fn parked(pool: &PgPool, whose: Option<&Whose>, max: i64) -> sqlx::Result<Vec<Parked>> {
    let rows = sqlx::query(
        "select c.command_id, c.command, c.channel, c.account_id, c.conversation_id, c.contact_id, c.finished_at,
                u.n + 1 as part, u.started_at, coalesce(u.payload #>> '{message,text}', u.payload ->> 'text') as text,
                (select count(*) from worker.parts p where p.identity = c.identity) as parts,
                (select coalesce(sum(p.attempt), 0) from worker.parts p where p.identity = c.identity)::bigint as attempts
           from worker.commands c
           left join lateral (select * from worker.parts p where p.identity = c.identity and p.state = 'unknown' order by p.n limit 1) u on true
          where c.state = 'unknown' and ($2::text is null or c.account_id = $2) and ($3::text is null or c.channel = $3)
          order by c.finished_at, c.identity limit $1",
    )
    .bind(max)
    .bind(whose.map(|whose| whose.account.as_str()))
    .bind(whose.and_then(|whose| whose.channel).map(Channel::as_str))
    .fetch_all(pool)
    .await?;
    let parked = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Parked> {
        let part: Option<i32> = row.try_get("part")?;
        Ok(Parked {
            command_id: row.try_get("command_id")?,
            command: row.try_get("command")?,
            channel: row.try_get("channel")?,
            account_id: row.try_get("account_id")?,
            conversation_id: row.try_get("conversation_id")?,
            contact_id: row.try_get("contact_id")?,
            parked_at: ledger::time(row, "finished_at")?,
            attempted_at: ledger::time(row, "started_at")?,
            attempts: row.try_get("attempts")?,
            part: (part.map_or(0, i64::from), row.try_get("parts")?),
            text: row.try_get("text")?,
        })
    };
    rows.iter().map(parked).collect()
}

/// What a person says about a parked send.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// The command (`reply_id`).
    pub command_id: &'a str,
    /// Its account, where several have such a command.
    pub whose: Option<&'a Whose>,
    /// What was found.
    pub finding: Finding,
    /// Meta's id of what was delivered, where the person knows it: row and echo become one then.
    pub message_id: Option<&'a str>,
    /// Who says so.
    pub by: &'a str,
    /// Only tell what it would lead to.
    pub dry_run: bool,
}

/// Settles a parked send as a person found it; its outcome is published by a worker. A later echo still overrules.
///
/// # Errors
/// [`ResolveError`]
pub async fn resolve(pool: &PgPool, resolution: Resolution<'_>) -> Result<Resolved, ResolveError> {
    let Resolution { command_id, whose, finding, message_id, by, dry_run } = resolution;
    let not_found = || ResolveError::NotFound(command_id.to_owned());
    let mut tx = pool.begin().await?;
    let identities: Vec<String> = sqlx::query_scalar(
        "select identity from worker.commands
          where command_id = $1 and position('#' in identity) = 0
            and ($2::text is null or account_id = $2) and ($3::text is null or channel = $3)",
    )
    .bind(command_id)
    .bind(whose.map(|whose| whose.account.as_str()))
    .bind(whose.and_then(|whose| whose.channel).map(Channel::as_str))
    .fetch_all(&mut *tx)
    .await?;
    let identity = match identities.as_slice() {
        [] => return Err(not_found()),
        [identity] => identity,
        _ => return Err(ResolveError::Ambiguous(command_id.to_owned())),
    };
    let command = ledger::lock(&mut tx, identity).await?.ok_or_else(not_found)?;
    if command.state != "unknown" {
        return Err(ResolveError::NotParked { id: command_id.to_owned(), state: command.state });
    }
    if let Some(message_id) = message_id {
        not_taken(&mut tx, &command, message_id).await?;
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
                ledger::mark_sent(&mut tx, &command, part.n, message_id, at, SettledBy::Person)
                    .await?;
                // Its echo may be here already, taken for somebody else's.
                super::attempt::reopen_echoes(&mut tx, &command, &part.peer).await?;
            }
            Finding::NotSent => {
                let error =
                    own_error("not_sent", "unknown", "a person looked and found it not sent");
                ledger::mark_failed(&mut tx, identity, part.n, &error).await?;
            }
        }
    }
    ledger::conclude(&mut tx, &command, None).await?;
    let parts = ledger::parts(&mut tx, identity).await?;
    let state: String = sqlx::query_scalar("select state from worker.commands where identity = $1")
        .bind(identity)
        .fetch_one(&mut *tx)
        .await?;
    let resolved = Resolved {
        command_id: command_id.to_owned(),
        account: (command.channel, command.account_id),
        state,
        skipped: parts.iter().filter(|part| part.state == State::Skipped).count(),
    };
    if dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
        tracing::info!(command.id = command_id, by, ?finding, "Settled command `{command_id}`");
    }
    Ok(resolved)
}

/// Refuses a message that is known to be the effect of another command: naming it here would hide one of the two.
async fn not_taken(
    conn: &mut sqlx::PgConnection,
    command: &ledger::CommandRow,
    message_id: &str,
) -> Result<(), ResolveError> {
    let told: Option<String> = sqlx::query_scalar(
        "select c.command_id from worker.parts p join worker.commands c using (identity)
          where c.channel = $1 and c.account_id = $2 and p.message_id = $3
         union all
         select e.claimed_by from worker.echoes e
          where e.channel = $1 and e.account_id = $2 and e.item_id = $3 and e.claimed_by is not null
          limit 1",
    )
    .bind(command.channel.as_str())
    .bind(command.account_id.as_str())
    .bind(message_id)
    .fetch_optional(conn)
    .await?;
    match told {
        None => Ok(()),
        Some(command_id) => {
            Err(ResolveError::Taken { message_id: message_id.to_owned(), command_id })
        }
    }
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

/// A freeze in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
    pub scope: String,
    /// Who froze it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
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
    tx.commit().await?;
    // What was being claimed at this moment is let go by the senders' own look.
    let mut conn = pool.acquire().await?;
    release(&mut conn).await?;
    conversation_state::wake(&mut conn).await?;
    Ok(done == 1)
}

/// Lets go of commands that wait for a freeze or a stopped account which is none any more.
///
/// # Errors
/// Of the database.
pub async fn release(conn: &mut sqlx::PgConnection) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update worker.commands set due_at = clock_timestamp(), held = null
          where identity in (
                select c.identity from worker.commands c join worker.accounts a on a.channel = c.channel and a.id = c.account_id
                 where c.state = 'open' and c.held in ('account_stopped', 'frozen')
                   and ((c.held = 'account_stopped' and a.state = 'active')
                        or (c.held = 'frozen'
                            and not exists (select from worker.freezes f
                                             where f.scope in ('*', 'account:' || c.channel || '/' || c.account_id,
                                                               'conversation:' || coalesce(c.conversation_id, '')))))
                   for update of c skip locked)",
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// All freezes.
///
/// # Errors
/// Of the database.
pub async fn freezes(pool: &PgPool) -> sqlx::Result<Vec<Freeze>> {
    let rows = sqlx::query("select scope, frozen_by, since from worker.freezes order by scope")
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| {
            let since = ledger::time(row, "since")?.unwrap_or(Timestamp::EPOCH);
            Ok(Freeze { scope: row.try_get("scope")?, by: row.try_get("frozen_by")?, since })
        })
        .collect()
}

/// How many commands wait in a scope: what a freeze holds, or a thaw lets go.
///
/// # Errors
/// Of the database.
pub async fn waiting(pool: &PgPool, scope: FreezeScope<'_>) -> sqlx::Result<i64> {
    let (channel, account, conversation) = match scope {
        FreezeScope::All => (None, None, None),
        FreezeScope::Account(channel, account) => {
            (Some(channel.as_str()), Some(account.as_str()), None)
        }
        FreezeScope::Conversation(id) => (None, None, Some(id)),
    };
    sqlx::query_scalar(
        "select count(*) from worker.commands
          where state = 'open' and ($1::text is null or channel = $1) and ($2::text is null or account_id = $2)
            and ($3::text is null or conversation_id = $3)",
    )
    .bind(channel)
    .bind(account)
    .bind(conversation)
    .fetch_one(pool)
    .await
}

/// The account a conversation belongs to, as far as the worker knows of it.
///
/// # Errors
/// Of the database.
pub async fn account_of(
    pool: &PgPool,
    conversation: &str,
) -> sqlx::Result<Option<(String, String)>> {
    sqlx::query_as(
        "select channel, account_id from worker.conversations where conversation_id = $1
         union all
         (select channel, account_id from worker.commands where conversation_id = $1 limit 1)
         limit 1",
    )
    .bind(conversation)
    .fetch_optional(pool)
    .await
}
