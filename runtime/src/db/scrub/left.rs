//! What is outside the tables: statistics and WAL.

use std::fmt;
use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use super::{again, catalogue, connect};
use crate::db::{code, is_held_up};

/// How long old versions of statistics may be visible to somebody.
const SEEN_FOR: Duration = Duration::from_secs(600);
/// How much WAL one statement writes.
const CHUNK: i64 = 8 << 20;
/// How long Postgres may take to drop WAL after a checkpoint that it made by itself.
const DROPS_WITHIN: Duration = Duration::from_secs(5);

/// Where bytes may be left, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Old values in `pg_statistic`, which only its database's owner may rewrite.
    Statistics,
    /// WAL, which a replication slot keeps.
    Slot(String),
    /// WAL, which `wal_keep_size` keeps.
    KeepSize,
    /// WAL, until the next checkpoint.
    Checkpoint,
    /// Copies that `archive_command` has made.
    Archive,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statistics => f.write_str(
                "old values may be left in pg_statistic: run `vacuum full pg_catalog.pg_statistic` as the owner of the database",
            ),
            Self::Slot(name) => {
                write!(f, "replication slot `{name}` keeps old WAL: let its reader go on, or drop it")
            }
            Self::KeepSize => f.write_str("wal_keep_size keeps old WAL: it goes as more is written"),
            Self::Checkpoint => f.write_str(
                "old WAL is kept until the next checkpoint: wait, or run `checkpoint` as a member of pg_checkpoint",
            ),
            Self::Archive => f.write_str(
                "archived WAL and base backups are not searched: they hold what was erased until they expire",
            ),
        }
    }
}

/// Rewrites the statistics and sees old WAL off, for at most `within`. Call it after [`scrub`](super::scrub()). What it returns is left.
///
/// # Errors
/// `sqlx::Error`: call it again.
pub async fn left(pool: &PgPool, within: Duration) -> sqlx::Result<Vec<Left>> {
    let mut conn = connect(pool).await?;
    let mut left = Vec::new();
    if !statistics(&mut conn).await? {
        left.push(Left::Statistics);
    }
    left.extend(wal(&mut conn, within).await?);
    Ok(left)
}

/// False: this user may not.
async fn statistics(conn: &mut PgConnection) -> sqlx::Result<bool> {
    let may: bool = sqlx::query_scalar(
        "select rolsuper or pg_has_role(current_user, datdba, 'usage') from pg_roles, pg_database
          where rolname = current_user and datname = current_database()",
    )
    .fetch_one(&mut *conn)
    .await?;
    if !may {
        return Ok(false);
    }
    let deadline = Instant::now() + SEEN_FOR;
    loop {
        // A version that somebody may still see would be copied: first all old ones must be gone.
        sqlx::raw_sql("vacuum pg_catalog.pg_statistic").execute(&mut *conn).await?;
        let clean: bool = sqlx::query_scalar(
            "select relallvisible >= relpages from pg_class where oid = 'pg_catalog.pg_statistic'::regclass",
        )
        .fetch_one(&mut *conn)
        .await?;
        if clean {
            catalogue::set(conn, "lock_timeout", "2s").await?;
            match sqlx::raw_sql("vacuum full pg_catalog.pg_statistic").execute(&mut *conn).await {
                Ok(_) => return Ok(true),
                Err(error) if is_held_up(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if again(deadline).await.is_none() {
            return Ok(false);
        }
    }
}

/// What the WAL is like.
#[derive(Debug, sqlx::FromRow)]
struct Wal {
    /// Bytes written since the position that was given.
    ahead: i64,
    /// Those up to the last checkpoint.
    redo_ahead: i64,
    segment: i64,
    /// Segments are used again under new names, without being emptied.
    recycles: bool,
    max_size: i64,
    keep_size: i64,
    archives: bool,
    slots: Vec<String>,
}

async fn look(conn: &mut PgConnection, since: i64) -> sqlx::Result<Wal> {
    sqlx::query_as(
        "select (pg_current_wal_lsn() - '0/0')::int8 - $1 as ahead,
                (redo_lsn - '0/0')::int8 - $1 as redo_ahead,
                pg_size_bytes(current_setting('wal_segment_size')) as segment,
                current_setting('wal_recycle')::bool as recycles,
                pg_size_bytes(current_setting('max_wal_size')) as max_size,
                pg_size_bytes(current_setting('wal_keep_size')) as keep_size,
                current_setting('archive_mode') <> 'off' as archives,
                array(select slot_name::text from pg_replication_slots
                       where restart_lsn is not null and (restart_lsn - '0/0')::int8 < $1) as slots
           from pg_control_checkpoint()",
    )
    .bind(since)
    .fetch_one(conn)
    .await
}

/// Writes nothing of importance, until `until` bytes of WAL are written since the position.
async fn fill(conn: &mut PgConnection, since: i64, until: i64) -> sqlx::Result<()> {
    while look(conn, since).await?.ahead < until {
        sqlx::query(
            "select count(pg_logical_emit_message(false, 'hookline', repeat('.', 1 << 20))) from generate_series(1, $1 >> 20)",
        )
        .bind(CHUNK)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// How much WAL the files hold that are there now; `at_most` where this user may not list them.
async fn kept_names(conn: &mut PgConnection, at_most: i64) -> sqlx::Result<i64> {
    let listed: sqlx::Result<i64> =
        sqlx::query_scalar("select coalesce(sum(size), 0)::int8 from pg_ls_waldir()")
            .fetch_one(conn)
            .await;
    match listed {
        Err(error) if is_refused(&error) => Ok(at_most),
        listed => listed,
    }
}

/// Whether this user may not do that.
fn is_refused(error: &sqlx::Error) -> bool {
    // insufficient_privilege
    code(error).as_deref() == Some("42501")
}

async fn wal(conn: &mut PgConnection, within: Duration) -> sqlx::Result<Vec<Left>> {
    let deadline = Instant::now() + within;
    let since: i64 = sqlx::query_scalar("select (pg_current_wal_lsn() - '0/0')::int8")
        .fetch_one(&mut *conn)
        .await?;
    let Wal { segment, .. } = look(conn, since).await?;
    // A checkpoint keeps the segment that it begins in: that must be another one.
    fill(conn, since, segment).await?;
    match sqlx::raw_sql("checkpoint").execute(&mut *conn).await {
        Ok(_) => {}
        Err(error) if is_refused(&error) => {
            while look(conn, since).await?.redo_ahead < segment {
                if again(deadline).await.is_none() {
                    return Ok(vec![Left::Checkpoint]);
                }
            }
            tokio::time::sleep(DROPS_WITHIN).await;
        }
        Err(error) => return Err(error),
    }
    let now = look(conn, since).await?;
    if now.recycles {
        // Segments with old content may have names that come later. All of them are written over.
        let over = now.ahead + kept_names(conn, now.max_size.max(now.keep_size)).await? + segment;
        fill(conn, since, over).await?;
    }
    let now = look(conn, since).await?;
    let mut left: Vec<Left> = now.slots.into_iter().map(Left::Slot).collect();
    if now.keep_size > now.ahead {
        left.push(Left::KeepSize);
    }
    if now.archives {
        left.push(Left::Archive);
    }
    Ok(left)
}
