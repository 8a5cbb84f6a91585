//! `worker.echoes`: outbound messages and own comments as Meta reports them, each the effect of at most one part.

use std::time::Duration;

use facts::follow_up::content::Content;
use facts::follow_up::conversation_state;
use schemas::{AccountId, Channel, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::commands::CommandRow;
use crate::matching::{DOUBT, Item};
use crate::state::EchoKind;

/// A row that waits to be compared with the ledger. Channel, kind and content are read row by row ([`EchoRow::read`]), so that an echo this
/// version cannot read, such as one of a channel that only a newer release knows, holds up no other.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct EchoRow {
    pub(crate) channel: String,
    pub(crate) account_id: AccountId,
    pub(crate) item_id: String,
    kind: String,
    peer: String,
    content: Vec<u8>,
    metadata: Option<String>,
    time: Timestamp,
}

/// An echo as this version reads it.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    pub(crate) channel: Channel,
    pub(crate) account_id: AccountId,
    pub(crate) item_id: String,
    pub(crate) kind: EchoKind,
    /// The contact; of a comment what it is under.
    pub(crate) peer: String,
    pub(crate) content: Content,
    /// Our key, on Messenger.
    pub(crate) metadata: Option<String>,
    pub(crate) time: Timestamp,
}

impl EchoRow {
    /// Reads the words of the row.
    ///
    /// # Errors
    /// `sqlx::Error::Decode` where this version does not know one of them.
    pub(crate) fn read(&self) -> sqlx::Result<Echo> {
        let decode = |error: String| sqlx::Error::Decode(error.into());
        Ok(Echo {
            channel: self.channel.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            account_id: self.account_id.clone(),
            item_id: self.item_id.clone(),
            kind: self.kind.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            peer: self.peer.clone(),
            content: self.content.as_slice().try_into().map_err(|_| {
                decode(format!(
                    "the content of an echo has {} bytes, 32 expected",
                    self.content.len()
                ))
            })?,
            metadata: self.metadata.clone(),
            time: self.time,
        })
    }
}

impl Echo {
    /// The row's key, as [`reschedule`] takes it.
    pub(crate) fn key(&self) -> (&str, &AccountId, &str) {
        (self.channel.as_str(), &self.account_id, &self.item_id)
    }

    /// It as something that may be the effect of a part.
    pub(crate) fn item(&self) -> Item {
        Item {
            id: self.item_id.clone(),
            content: self.content,
            peer: self.peer.clone(),
            time: self.time,
            claimed: false,
            early: false,
        }
    }
}

/// The echoes that are to be compared now, oldest first.
pub(crate) async fn to_examine(pool: &PgPool, max: i64) -> sqlx::Result<Vec<EchoRow>> {
    sqlx::query_as(
        "select channel, account_id, item_id, kind, peer, content, metadata, time from worker.echoes
          where not examined and examine_at <= clock_timestamp() order by time, item_id limit $1
            for no key update skip locked",
    )
    .bind(max)
    .fetch_all(pool)
    .await
}

/// Compares an echo later.
pub(crate) async fn reschedule(
    conn: &mut PgConnection,
    (channel, account, item_id): (&str, &AccountId, &str),
    until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("update worker.echoes set examine_at = $4 where channel = $1 and account_id = $2 and item_id = $3")
        .bind(channel)
        .bind(account)
        .bind(item_id)
        .bind(until)
        .execute(conn)
        .await?;
    Ok(())
}

/// An echo is the effect of none of our parts.
pub(crate) async fn mark_foreign(conn: &mut PgConnection, echo: &Echo) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.echoes set examined = true
          where channel = $1 and account_id = $2 and item_id = $3 and claimed_by is null",
    )
    .bind(echo.channel)
    .bind(&echo.account_id)
    .bind(&echo.item_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Claims an echo for a part. `false`: there is no such echo, or another part has it.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    command: &CommandRow,
    item_id: &str,
    key: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.echoes set claimed_by = $4, examined = true
          where channel = $1 and account_id = $2 and item_id = $3 and (claimed_by is null or claimed_by = $4)",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(item_id)
    .bind(key)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a read found, to be kept as an echo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundItem<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: EchoKind,
    pub(crate) peer: &'a str,
    pub(crate) content: &'a Content,
    pub(crate) time: Timestamp,
}

/// Keeps what a read found as an echo claimed by the part of `key`, so that no other part can take it. `false`: another has it.
pub(crate) async fn adopt(
    conn: &mut PgConnection,
    command: &CommandRow,
    found: FoundItem<'_>,
    key: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into worker.echoes as e (channel, account_id, item_id, kind, peer, content, time, claimed_by, examined)
         select $1, $2, $3, $4, $5, $6, $7, $8, true
          where not exists (select from worker.parts p join worker.commands c using (identity)
                             where p.message_id = $3 and c.channel = $1 and c.account_id = $2)
         on conflict (channel, account_id, item_id) do update set claimed_by = excluded.claimed_by, examined = true
          where e.claimed_by is null or e.claimed_by = excluded.claimed_by",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(found.id)
    .bind(found.kind)
    .bind(found.peer)
    .bind(found.content.as_slice())
    .bind(found.time)
    .bind(key)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An echo that nobody claims.
#[derive(Clone, Debug, sqlx::FromRow)]
struct UnclaimedRow {
    item_id: String,
    content: Content,
    peer: String,
    time: Timestamp,
}

/// Echoes nobody claims that say the same to the same peer.
pub(crate) async fn unclaimed(
    conn: &mut PgConnection,
    command: &CommandRow,
    peer: &str,
    content: &Content,
) -> sqlx::Result<Vec<Item>> {
    let rows: Vec<UnclaimedRow> = sqlx::query_as(
        "select item_id, content, peer, time from worker.echoes
          where channel = $1 and account_id = $2 and peer = $3 and content = $4 and claimed_by is null",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(peer)
    .bind(content.as_slice())
    .fetch_all(conn)
    .await?;
    let item = |row: UnclaimedRow| Item {
        id: row.item_id,
        content: row.content,
        peer: row.peer,
        time: row.time,
        claimed: false,
        early: false,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// An item that is not the effect of a part, or seems not to be.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct TakenRow {
    pub(crate) item_id: String,
    /// It belongs to another part, was reported long before, or is a Messenger echo of an app without our key. Else it was only reported before,
    /// by a clock that may have been set since.
    pub(crate) known: bool,
}

/// Of these items, those that are something else than the effect of the part of `key`, or were reported before `since`.
pub(crate) async fn taken(
    pool: &PgPool,
    command: &CommandRow,
    items: &[&str],
    key: &str,
    since: Timestamp,
) -> sqlx::Result<Vec<TakenRow>> {
    sqlx::query_as(
        "select taken.item_id, bool_or(taken.known) as known
           from (select e.item_id, e.known
                   from (select item_id, seen_at,
                                seen_at < $6 or (claimed_by is not null and claimed_by <> $4)
                                or (channel = 'messenger' and kind = 'message' and examined and app_id is not null
                                    and metadata is distinct from $4) as known
                           from worker.echoes
                          where channel = $1 and account_id = $2 and item_id = any($3)) e
                  where e.known or e.seen_at < $5
                  union all
                 select p.message_id, true from worker.parts p join worker.commands c using (identity)
                  where p.message_id = any($3) and c.channel = $1 and c.account_id = $2) taken
          group by taken.item_id",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(items)
    .bind(key)
    .bind(since)
    .bind(since.minus(DOUBT))
    .fetch_all(pool)
    .await
}

/// Forgets up to `limit` echoes `older` than any command they may be the effect of. All are kept where something is open or unknown: a part is
/// compared with them until it is settled.
pub(crate) async fn forget(pool: &PgPool, older: Duration, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from worker.echoes where (channel, account_id, item_id) in (
             select channel, account_id, item_id from worker.echoes e
              where examined and seen_at < now() - make_interval(secs => $1)
                and not exists (select from worker.commands c
                                 where c.channel = e.channel and c.account_id = e.account_id and c.state in ('open', 'unknown'))
              order by seen_at limit $2 for update skip locked)",
    )
    .bind(older.as_secs_f64())
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Echoes of the same peer within a day that nobody claims are compared with the ledger again.
pub(crate) async fn reopen(
    conn: &mut PgConnection,
    command: &CommandRow,
    peer: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.echoes set examined = false, examine_at = clock_timestamp()
          where (channel, account_id, item_id) in (
                select channel, account_id, item_id from worker.echoes
                 where channel = $1 and account_id = $2 and peer = $3 and claimed_by is null
                   and seen_at > clock_timestamp() - interval '1 day'
                   for update skip locked)",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(peer)
    .execute(&mut *conn)
    .await?;
    runtime::notify::notify(conn, conversation_state::ECHOES).await
}

/// The same after the ledger was lost: whenever they came, and also those that the part of `key` had claimed.
pub(crate) async fn reopen_lost(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    peer: &str,
    key: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.echoes set examined = false, examine_at = clock_timestamp(), claimed_by = null
          where channel = $1 and account_id = $2 and peer = $3 and (claimed_by is null or claimed_by = $4)",
    )
    .bind(channel)
    .bind(account_id)
    .bind(peer)
    .bind(key)
    .execute(conn)
    .await?;
    Ok(())
}
