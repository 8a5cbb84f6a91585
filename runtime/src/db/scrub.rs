//! Removes from Postgres's files what deleted and replaced rows have left: each table is copied beside itself and the copy takes its place
//! (docs/decisions/44). Readers and writers go on; they wait only for the exchange. `hookline erase` calls it at its end (docs/contract.md 11);
//! no service does by itself.
//!
//! Whoever reads several tables under `repeatable read` calls [`hold_off`] before its snapshot: an older snapshot sees nothing of a table
//! that was exchanged since. `pg_dump` cannot call it: while one is connected nothing is exchanged.

mod catalogue;
mod left;
mod steps;
mod swap;

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool};

use super::is_held_up;
use catalogue::Found;

pub use catalogue::Table;
pub use left::{Left, left};

/// Key of the advisory lock of the one scrub at a time: `hookscr` in hex.
const LOCK: i64 = 0x68_6f_6f_6b_73_63_72;
/// Key of the advisory lock of an exchange: `hookswp` in hex.
const EXCHANGE: i64 = 0x68_6f_6f_6b_73_77_70;
/// How long somebody else may keep a table locked, or another scrub may run.
const BUSY_FOR: Duration = Duration::from_secs(600);
/// Between two attempts to lock.
const PAUSE: Duration = Duration::from_millis(250);
/// Pages that are copied by one statement.
const PAGES: i64 = 4096;
/// The exchange waits until a round of catching up has brought fewer rows.
const FEW: i64 = 1000;
/// Rounds of catching up before the exchange, at most: a table that changes faster is exchanged with more rows to go.
const ROUNDS: u32 = 10;
/// How often a table may be altered while it is copied.
const ALTERED_MAX: u32 = 5;

/// Why a table was not scrubbed. The tables before it are; to scrub one again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// Somebody keeps it locked.
    #[error(
        "{0} is in use by a transaction that does not end: end it (pg_stat_activity), and scrub again"
    )]
    Busy(Table),
    /// A backup is made, which could find an exchanged table empty.
    #[error("`pg_dump` reads this database: scrub again when it has ended")]
    Dump,
    /// Another scrub runs.
    #[error("another scrub runs in this database: wait for it, and scrub again")]
    Running,
    /// A copy would lack something.
    #[error(
        "{table} cannot be copied as it is ({obstacles}): remove that, or run `vacuum full {table}` when nobody needs it"
    )]
    Obstacles {
        /// The table.
        table: Table,
        /// What the copy would lack.
        obstacles: String,
    },
    /// It was altered again and again.
    #[error("{0} is being altered: scrub again when its migrations are done")]
    Altered(Table),
    /// Of the database. What was not committed is rolled back.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// How far a scrub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table it works on, by its place in the list.
    pub table: usize,
    /// Pages that are copied.
    pub pages: i64,
    /// Pages that it had when that began.
    pub pages_all: i64,
    /// The table is done.
    pub done: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrubbed {
    /// Tables that were exchanged; one that is no more counts as nothing.
    pub tables: usize,
    /// The longest time one was locked against readers.
    pub locked_most: Duration,
}

/// Copies each table and puts the copy in its place. Afterwards [`left()`] deals with statistics and WAL, once for all tables.
///
/// The user owns the tables or is a member of their owner. Rows must have been deleted or replaced in transactions that are committed.
///
/// # Errors
/// [`ScrubError`]: what is done is done, so scrub again.
pub async fn scrub(
    pool: &PgPool,
    tables: &[Table],
    mut progress: impl FnMut(Progress),
) -> Result<Scrubbed, ScrubError> {
    let mut conn = connect(pool).await?;
    let deadline = Instant::now() + BUSY_FOR;
    while !sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut conn)
        .await?
    {
        again(deadline).await.ok_or(ScrubError::Running)?;
    }
    let mut scrubbed = Scrubbed::default();
    for (number, table) in tables.iter().enumerate() {
        let mut report = |pages, pages_all, done| {
            progress(Progress { table: number, pages, pages_all, done });
        };
        if let Some(locked) = one(&mut conn, table, &mut report).await? {
            scrubbed.tables += 1;
            scrubbed.locked_most = scrubbed.locked_most.max(locked);
        }
        report(0, 0, true);
    }
    conn.close().await?;
    Ok(scrubbed)
}

/// No table is exchanged until the connection is closed. For readers that see all tables as they were at one moment; the connection must not
/// be one that goes back to a pool.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub async fn hold_off(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_lock_shared($1)").bind(EXCHANGE).execute(conn).await.map(|_| ())
}

/// A connection of its own, without the limits of other statements. Names are written with their schemas.
async fn connect(pool: &PgPool) -> sqlx::Result<PgConnection> {
    let options = pool.connect_options().as_ref().clone().options([
        ("statement_timeout", "0"),
        ("search_path", "pg_catalog"),
        ("maintenance_work_mem", "256MB"),
    ]);
    let options = options.options(super::BY_COST);
    PgConnection::connect_with(&options).await
}

/// Waits a little; `None`: there was time enough.
async fn again(deadline: Instant) -> Option<()> {
    if deadline <= Instant::now() {
        return None;
    }
    tokio::time::sleep(PAUSE).await;
    Some(())
}

/// How long it was locked; `None`: it is no more.
async fn one(
    conn: &mut PgConnection,
    table: &Table,
    report: &mut impl FnMut(i64, i64, bool),
) -> Result<Option<Duration>, ScrubError> {
    for _ in 0..ALTERED_MAX {
        catalogue::set(conn, "role", "none").await?;
        let Some(Found { oid, owner, obstacles }) = catalogue::find(conn, table).await? else {
            return Ok(None);
        };
        if !obstacles.is_empty() {
            let obstacles = obstacles.join(", ");
            return Err(ScrubError::Obstacles { table: table.clone(), obstacles });
        }
        catalogue::set(conn, "role", &owner).await?;
        catalogue::set(conn, "hookline.scrub", &oid.to_string()).await?;
        let fingerprint = begin(conn, table, oid).await?;
        copy(conn, oid, report).await?;
        for index in catalogue::indexes(conn, oid).await? {
            catalogue::set(conn, "hookline.scrub_index", &index.to_string()).await?;
            steps::index(conn).await?;
        }
        if let Some(locked) = exchange(conn, table, oid, &fingerprint).await? {
            swap::validate(conn).await?;
            return Ok(Some(locked));
        }
    }
    Err(ScrubError::Altered(table.clone()))
}

/// From here on changes are logged. Returns what the table is like.
async fn begin(conn: &mut PgConnection, table: &Table, oid: i64) -> Result<String, ScrubError> {
    let deadline = Instant::now() + BUSY_FOR;
    loop {
        match begin_once(conn, oid).await {
            Err(error) if is_held_up(&error) => {
                again(deadline).await.ok_or_else(|| ScrubError::Busy(table.clone()))?;
            }
            begun => return Ok(begun?),
        }
    }
}

async fn begin_once(conn: &mut PgConnection, oid: i64) -> sqlx::Result<String> {
    let mut tx = conn.begin().await?;
    steps::reserve(&mut tx).await?;
    steps::clear(&mut tx).await?;
    let fingerprint = catalogue::fingerprint(&mut tx, oid).await?;
    steps::watch(&mut tx).await?;
    tx.commit().await?;
    Ok(fingerprint)
}

/// Copies all rows of one moment.
async fn copy(
    conn: &mut PgConnection,
    oid: i64,
    report: &mut impl FnMut(i64, i64, bool),
) -> sqlx::Result<()> {
    let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
    // The first statement fixes what the transaction sees: all of that lies in these pages.
    let pages = catalogue::pages(&mut tx, oid).await?;
    let mut from = 0;
    while from < pages {
        report(from, pages, false);
        let until = from + PAGES;
        catalogue::set(&mut tx, "hookline.scrub_from", &from.to_string()).await?;
        catalogue::set(&mut tx, "hookline.scrub_until", &until.to_string()).await?;
        steps::copy(&mut tx).await?;
        from = until;
    }
    tx.commit().await
}

/// Applies what changed meanwhile and puts the copy in the place of the table. `None`: the table is not as it was.
async fn exchange(
    conn: &mut PgConnection,
    table: &Table,
    oid: i64,
    fingerprint: &str,
) -> Result<Option<Duration>, ScrubError> {
    let deadline = Instant::now() + BUSY_FOR;
    loop {
        let mut is_dump = false;
        for _ in 0..ROUNDS {
            let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
            steps::catch_up(&mut tx).await?;
            tx.commit().await?;
            if catalogue::number(conn, "hookline.scrub_rows").await? < FEW {
                break;
            }
        }
        match exchange_once(conn, oid, fingerprint).await {
            Ok(Exchange::HeldOff) => {}
            Ok(Exchange::Dump) => is_dump = true,
            Err(error) if is_held_up(&error) => {}
            Ok(Exchange::Altered) => return Ok(None),
            Ok(Exchange::Done(locked)) => return Ok(Some(locked)),
            Err(error) => return Err(error.into()),
        }
        again(deadline).await.ok_or_else(|| match is_dump {
            true => ScrubError::Dump,
            false => ScrubError::Busy(table.clone()),
        })?;
    }
}

/// What became of an attempt to exchange a table.
enum Exchange {
    /// Done; readers waited for so long.
    Done(Duration),
    /// The table is not as it was when the copy began.
    Altered,
    /// Somebody has called [`hold_off`].
    HeldOff,
    /// `pg_dump` is connected.
    Dump,
}

async fn exchange_once(
    conn: &mut PgConnection,
    oid: i64,
    fingerprint: &str,
) -> sqlx::Result<Exchange> {
    let mut tx = conn.begin().await?;
    let may = sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(EXCHANGE);
    if !may.fetch_one(&mut *tx).await? {
        return Ok(Exchange::HeldOff);
    }
    if catalogue::is_dumped(&mut tx).await? {
        return Ok(Exchange::Dump);
    }
    steps::reserve(&mut tx).await?;
    let began = Instant::now();
    steps::lock(&mut tx).await?;
    if catalogue::fingerprint(&mut tx, oid).await? != fingerprint {
        return Ok(Exchange::Altered);
    }
    steps::catch_up(&mut tx).await?;
    swap::swap(&mut tx).await?;
    tx.commit().await?;
    Ok(Exchange::Done(began.elapsed()))
}
