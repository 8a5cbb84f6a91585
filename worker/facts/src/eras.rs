//! `worker.stream_eras`: of which era of each stream the stored positions are. The last number of a stream counts.

use anyhow::Context as _;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Info, Stream};
use runtime::BoxFuture;
use runtime::broker::{gone, made_anew};
use runtime::db::absent_is_empty;
use runtime::follow::{Taken, stored};
use runtime::lease::{self, Lease, Leases, Position};
use runtime::streams::{self, Era, StoredEras, StreamName, era_of};
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};

/// An era of a stream and its number, which stands beside positions in tables with many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct NumberedEra {
    /// Its number; 0 is the first that was known.
    pub n: i16,
    /// The era.
    pub era: Era,
}

/// The era that counts; `None` where no position of the stream was ever stored.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn current(
    executor: impl PgExecutor<'_>,
    stream: &str,
) -> sqlx::Result<Option<NumberedEra>> {
    sqlx::query_as(
        "select n, era from worker.stream_eras where stream = $1 order by n desc limit 1",
    )
    .bind(stream)
    .fetch_optional(executor)
    .await
}

/// Declares an era: it counts from now on. Returns its number. Also the same era once more: after the stream was put back to an earlier
/// state, its numbers mean something else than before.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn declare(conn: &mut PgConnection, stream: &str, era: Era) -> sqlx::Result<i16> {
    sqlx::query_scalar(
        "insert into worker.stream_eras (stream, n, era)
         select $1, coalesce(max(n) + 1, 0), $2 from worker.stream_eras where stream = $1
         returning n",
    )
    .bind(stream)
    .bind(era)
    .fetch_one(conn)
    .await
}

/// Keeps the first era of a stream.
async fn keep_first(pool: &PgPool, stream: &str, era: Era) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.stream_eras (stream, n, era) values ($1, 0, $2) on conflict (stream, n) do nothing",
    )
    .bind(stream)
    .bind(era)
    .execute(pool)
    .await
    .map(|_| ())
}

/// The stored eras, for the connection to the broker.
#[derive(Clone, Debug)]
pub struct Eras(PgPool);

impl Eras {
    /// Of schema `worker` in this database.
    pub const fn new(pool: PgPool) -> Self {
        Self(pool)
    }
}

impl StoredEras for Eras {
    fn stored(&self, stream: StreamName) -> BoxFuture<'_, anyhow::Result<Option<Era>>> {
        Box::pin(async move {
            let known = absent_is_empty(current(&self.0, stream.as_str()).await)?;
            Ok(known.map(|known| known.era))
        })
    }

    fn keep(&self, stream: StreamName, era: Era) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move { Ok(keep_first(&self.0, stream.as_str(), era).await?) })
    }

    fn marks(&self) -> bool {
        true
    }
}

/// What stands under a number is something else than what was read there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignStream {
    /// The stream is gone, or not the one whose positions are known.
    #[error("{0}")]
    Another(String),
    /// It is the one, in an earlier state: its readers notice, and begin again.
    #[error(
        "{0} was put back to an earlier state and its readers have not looked yet: start a worker, or try again"
    )]
    PutBack(&'static str),
}

/// A stream of which positions may be read.
pub struct Opened {
    /// The stream.
    pub stream: Stream<Info>,
    /// Which of its numbers counts.
    pub known: NumberedEra,
}

/// Opens a stream in order to read messages by stored positions.
///
/// # Errors
/// [`ForeignStream`] where stored positions are of another one, or of a later state of it; else broker or Postgres did not answer.
pub async fn open(js: &Context, pool: &PgPool, name: StreamName) -> anyhow::Result<Opened> {
    let reading = || format!("reading {}", name.as_str());
    let known = absent_is_empty(current(pool, name.as_str()).await)?;
    let found = streams::find(js, name.as_str()).await.with_context(reading)?;
    let stream = match (found, known) {
        (Some(stream), _) => stream,
        (None, Some(_)) => return Err(ForeignStream::Another(gone(name.as_str())).into()),
        (None, None) => anyhow::bail!("there is no stream {} yet: start a worker", name.as_str()),
    };
    let era = era_of(stream.cached_info());
    match known {
        Some(known) if known.era != era => {
            Err(ForeignStream::Another(made_anew(name.as_str(), era, known.era)).into())
        }
        Some(known) => {
            if !has_what_was_read(js, &stream, pool, name).await? {
                return Err(ForeignStream::PutBack(name.as_str()).into());
            }
            Ok(Opened { stream, known })
        }
        None => Ok(Opened { stream, known: NumberedEra { n: 0, era } }),
    }
}

/// How a stream stands that must be there.
///
/// # Errors
/// It is not there, or the broker did not answer.
pub async fn there(js: &Context, name: StreamName) -> anyhow::Result<Info> {
    let reading = || format!("reading {}", name.as_str());
    let stream = streams::find(js, name.as_str()).await.with_context(reading)?;
    Ok(stream.ok_or(Gone(name.as_str()))?.cached_info().clone())
}

/// A stream that must be there is not.
#[derive(Debug, thiserror::Error)]
#[error("stream {0} is gone: restore it from a backup")]
pub struct Gone(&'static str);

/// Whether the stream has the message at the last stored position.
async fn has_what_was_read(
    js: &Context,
    stream: &Stream<Info>,
    pool: &PgPool,
    name: StreamName,
) -> anyhow::Result<bool> {
    let last: Option<Position> = sqlx::query_as(
        "select seq, era, case when stored_seq = seq then stored_at end as stored_at
           from worker.positions where stream = $1 order by seq desc limit 1",
    )
    .bind(name.as_str())
    .fetch_optional(pool)
    .await?;
    let Some(Position { seq, at, .. }) = last else { return Ok(true) };
    if stream.cached_info().state.last_sequence < seq {
        return Ok(false);
    }
    let (Some(at), true) = (at, seq > 0) else { return Ok(true) };
    let message = stored::at(js, name.as_str(), seq).await?;
    Ok(message.is_none_or(|message| message.stored_at == at))
}

/// A stream was put back to an earlier state: what stands in it from now on has numbers that were used before, so they get a number of
/// their own, and every reader of the worker begins at its start. The first that notices does it for all; each seeks its lease again.
///
/// # Errors
/// `sqlx::Error`; nothing was changed, call again.
pub async fn read_again(
    leases: &Leases,
    lease: &Lease,
    stream: StreamName,
    stored: Position,
) -> sqlx::Result<Taken> {
    let mut tx = leases.begin().await?;
    let start = Position { seq: 0, era: stored.era, at: None };
    let is_first = leases.move_position(&mut tx, lease, stream.as_str(), stored.seq, start).await?;
    if is_first && let Some(known) = current(&mut *tx, stream.as_str()).await? {
        declare(&mut tx, stream.as_str(), known.era).await?;
        lease::start_over(&mut tx, "worker", stream, known.era).await?;
        tx.commit().await?;
    }
    Ok(Taken::Lost)
}
