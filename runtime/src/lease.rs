//! Leases in Postgres: one holder at a time, by the database's clock, with an epoch that fences.
//!
//! A lease alone does not make a zombie harmless. What does: the position is moved by compare-and-set in the transaction of the effect
//! ([`Leases::move_position`]), so of two holders only one can commit.

use std::time::Duration;

use crate::BoxFuture;
use schemas::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use crate::db::within;
use crate::streams::{Era, StreamName};

/// The lease and position tables of one owner's schema: `<schema>.leases`, `<schema>.positions`. Statements name them without the schema
/// and run in a transaction whose `search_path` is it ([`Leases::begin`]): a read model's schema is chosen at run time.
#[derive(Clone)]
pub struct Leases {
    pool: PgPool,
    /// Begins a transaction with the schema as its `search_path`.
    begin: String,
    /// The same, and its commit does not wait for the disk.
    begin_derived: String,
    owner: String,
    ttl: Duration,
}

/// A held lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// Counted up with every change of holder.
    pub epoch: i64,
    /// When the server that gave it was started or last recovered from a crash, microseconds since 1970: it may have lost its last commits then,
    /// and a reader without work would not look at its position.
    server_started: i64,
}

impl Lease {
    /// A lease that is never renewed.
    pub fn for_good(name: &str, owner: String, epoch: i64) -> Self {
        Self { name: name.to_owned(), owner, epoch, server_started: 0 }
    }
}

/// A stored position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Position {
    /// The last message that took effect; 0 before the first.
    #[sqlx(try_from = "i64")]
    pub seq: u64,
    /// The era of the stream it belongs to; `None` before the first.
    pub era: Option<Era>,
    /// When the broker stored that message: a stream that was put back to before it has another one there, or none.
    #[sqlx(rename = "stored_at")]
    pub at: Option<Timestamp>,
}

/// Ends every lease of a schema in the caller's transaction, which it leaves with that schema as its `search_path`: for a database that was
/// put back to an earlier state. Whoever holds one notices when it is to be renewed, and goes on from the stored position, which a reader
/// without work would not look at.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn end_all(connection: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config('search_path', $1, true)")
        .bind(schema)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "update leases set expires_at = clock_timestamp() - interval '1 second', epoch = epoch + 1, owner = ''",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets every position in a stream to the beginning of another era of it and ends every lease of the schema, in the caller's transaction,
/// which it leaves with that schema as its `search_path`. Who read the era before cannot move a position any more.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn start_over(
    connection: &mut PgConnection,
    schema: &str,
    stream: StreamName,
    era: Era,
) -> sqlx::Result<()> {
    end_all(connection, schema).await?;
    sqlx::query("update positions set seq = 0, era = $2, stored_at = null where stream = $1")
        .bind(stream.as_str())
        .bind(era)
        .execute(connection)
        .await?;
    Ok(())
}

impl Leases {
    /// Leases in `schema`, held as `owner` (unique per process), lost `ttl` after the last renewal.
    pub fn new(pool: PgPool, schema: &str, owner: String, ttl: Duration) -> Self {
        let begin = format!("begin; set local search_path = {schema}");
        let begin_derived = format!(
            "begin; select set_config('search_path', '{schema}', true), set_config('synchronous_commit', 'off', true)"
        );
        Self { pool, begin, begin_derived, owner, ttl }
    }

    /// How long a lease lives after its last renewal.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Who this process is.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Longer than this no question about a lease may take: a connection that hangs must not stop the seeking and renewing of leases.
    fn patience(&self) -> Duration {
        self.ttl.max(Duration::from_secs(1))
    }

    fn seconds(&self) -> f64 {
        self.ttl.as_secs_f64()
    }

    /// A transaction in which names without a schema are those of this one, as [`Leases::move_position`] needs it. As many round trips as
    /// any `begin`.
    ///
    /// # Errors
    /// `sqlx::Error`; nothing was begun.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.pool.begin_with(AssertSqlSafe(self.begin.clone())).await
    }

    /// As [`Leases::begin`], for what follows from a stream and is written together with the position in it. Its commit does not wait for
    /// the disk. Where Postgres crashes, the last moments of it are lost as a whole and read again; a later commit that waits makes it
    /// durable, too (docs/decisions/37). Not for what is known nowhere else.
    ///
    /// # Errors
    /// `sqlx::Error`; nothing was begun.
    pub async fn begin_derived(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.pool.begin_with(AssertSqlSafe(self.begin_derived.clone())).await
    }

    /// Takes the lease when it is free, lapsed, or ours already.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again. If it was taken nevertheless, asking again finds it ours.
    pub fn acquire<'a>(&'a self, name: &'a str) -> BoxFuture<'a, sqlx::Result<Option<Lease>>> {
        Box::pin(async move {
            let taken: Option<(i64, i64)> = within(self.patience(), async {
            let mut tx = self.begin().await?;
            let taken = sqlx::query_as::<_, (i64, i64)>(
                "insert into leases as held (name, owner, epoch, expires_at)
                 values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
                 on conflict (name) do update
                    set owner = excluded.owner,
                        epoch = held.epoch + case when held.owner = excluded.owner then 0 else 1 end,
                        expires_at = excluded.expires_at
                  where held.owner = excluded.owner or held.expires_at < clock_timestamp()
                 returning epoch, (extract(epoch from greatest(pg_postmaster_start_time(),
                                      (select stats_reset from pg_stat_bgwriter))) * 1000000)::bigint",
            )
            .bind(name)
            .bind(&self.owner)
            .bind(self.seconds())
            .fetch_optional(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok::<_, sqlx::Error>(taken)
        })
        .await?;
            let lease = |(epoch, server_started)| Lease {
                name: name.to_owned(),
                owner: self.owner.clone(),
                epoch,
                server_started,
            };
            Ok(taken.map(lease))
        })
    }

    /// Holds on to the lease; `false`: it is lost, or Postgres may have lost commits since it was taken.
    ///
    /// # Errors
    /// `sqlx::Error`: whether it is lost is unknown; ask again before `ttl` is over.
    pub fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, sqlx::Result<bool>> {
        Box::pin(async move {
            within(self.patience(), async {
                let mut tx = self.begin().await?;
                let done = sqlx::query(
                    "update leases set expires_at = clock_timestamp() + make_interval(secs => $4)
                  where name = $1 and owner = $2 and epoch = $3
                    and (extract(epoch from greatest(pg_postmaster_start_time(),
                            (select stats_reset from pg_stat_bgwriter))) * 1000000)::bigint = $5",
                )
                .bind(&lease.name)
                .bind(&lease.owner)
                .bind(lease.epoch)
                .bind(self.seconds())
                .bind(lease.server_started)
                .execute(&mut *tx)
                .await?;
                tx.commit().await?;
                Ok(done.rows_affected() == 1)
            })
            .await
        })
    }

    /// Lets go at once, so that the next holder need not wait.
    ///
    /// # Errors
    /// `sqlx::Error`; the lease lapses by itself.
    pub fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            within(self.patience(), async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "update leases set expires_at = clock_timestamp() - interval '1 second', epoch = epoch + 1, owner = ''
                  where name = $1 and owner = $2 and epoch = $3",
            )
            .bind(&lease.name)
            .bind(&lease.owner)
            .bind(lease.epoch)
            .execute(&mut *tx)
            .await?;
            tx.commit().await
        })
        .await
        })
    }

    /// The stored position of a reader; zero before its first.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub fn position<'a>(&'a self, name: &'a str) -> BoxFuture<'a, sqlx::Result<Position>> {
        Box::pin(async move {
            let stored: Option<Position> = within(self.patience(), async {
                let mut tx = self.begin().await?;
                let stored = sqlx::query_as::<_, Position>(
                    "select seq, era, case when stored_seq = seq then stored_at end as stored_at
                       from positions where name = $1",
                )
                .bind(name)
                .fetch_optional(&mut *tx)
                .await?;
                tx.commit().await?;
                Ok::<_, sqlx::Error>(stored)
            })
            .await?;
            Ok(stored.unwrap_or_default())
        })
    }

    /// Moves the position from `from` to `to` inside the caller's transaction, while the lease is ours. The transaction's `search_path` must
    /// be our schema: [`Leases::begin`] sees to it. `false`: somebody else moved the position or took the lease, or an operator has adopted
    /// another era of the stream; roll back and stop working.
    ///
    /// # Errors
    /// `sqlx::Error`; roll back.
    pub fn move_position<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        lease: &'a Lease,
        stream: &'a str,
        from: u64,
        to: Position,
    ) -> BoxFuture<'a, sqlx::Result<bool>> {
        Box::pin(async move {
            let done = sqlx::query(
            "insert into positions as stored (name, stream, era, seq, stored_at, stored_seq)
             select $1, $2, $3, $5, $8, $5 from leases
              where name = $1 and owner = $6 and epoch = $7 and expires_at > clock_timestamp()
                and ($4 = 0 or exists (select from positions p where p.name = $1))
             on conflict (name) do update
                set seq = excluded.seq, stored_at = excluded.stored_at, stored_seq = excluded.stored_seq,
                    era = coalesce(excluded.era, stored.era)
              where stored.seq = $4 and (stored.era is null or excluded.era is null or stored.era = excluded.era)",
        )
        .bind(&lease.name)
        .bind(stream)
        .bind(to.era)
        .bind(i64::try_from(from).unwrap_or(i64::MAX))
        .bind(i64::try_from(to.seq).unwrap_or(i64::MAX))
        .bind(&lease.owner)
        .bind(lease.epoch)
        .bind(to.at)
        .execute(connection)
        .await?;
            Ok(done.rows_affected() == 1)
        })
    }

    /// Forgets position and lease of a reader that there is no more, in the caller's transaction ([`Leases::begin`]).
    ///
    /// # Errors
    /// `sqlx::Error`; roll back.
    pub async fn forget(&self, connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
        sqlx::query("delete from positions where name = $1")
            .bind(name)
            .execute(&mut *connection)
            .await?;
        sqlx::query("delete from leases where name = $1").bind(name).execute(connection).await?;
        Ok(())
    }

    /// Runs `work` whenever and as long as this process holds the lease `name`, until `shutdown`. `work` gets the lease and a token that
    /// is cancelled when the lease is lost or the process stops; it must return soon after. When `work` returns by itself, the lease is
    /// let go and sought again.
    pub async fn while_held<F, Fut>(&self, name: &str, shutdown: CancellationToken, mut work: F)
    where
        F: FnMut(Lease, CancellationToken) -> Fut,
        Fut: Future<Output = ()>,
    {
        let pause = self.ttl / 3;
        while !shutdown.is_cancelled() {
            match self.acquire(name).await {
                Ok(Some(lease)) => {
                    tracing::debug!(lease = name, epoch = lease.epoch, "Took the lease");
                    let stop = shutdown.child_token();
                    tokio::select! {
                        () = work(lease.clone(), stop.clone()) => {}
                        () = self.keep(&lease, &stop) => {}
                    }
                    stop.cancel();
                    if let Err(error) = self.release(&lease).await {
                        tracing::debug!(lease = name, %error, "Could not let go of the lease; it lapses by itself");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(lease = name, %error, "Could not ask for the lease"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())) => {}
            }
        }
    }

    /// Renews until the lease is lost. On shutdown it goes on for a while, so that the work can finish its transaction.
    fn keep<'a>(&'a self, lease: &'a Lease, stop: &'a CancellationToken) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut held_until = tokio::time::Instant::now() + self.ttl;
            loop {
                tokio::time::sleep(self.ttl / 3).await;
                let asked = tokio::time::Instant::now();
                match tokio::time::timeout(self.ttl / 3, self.renew(lease)).await {
                    Ok(Ok(true)) => held_until = asked + self.ttl,
                    Ok(Ok(false)) => break,
                    Ok(Err(_)) | Err(_) if asked < held_until => {}
                    Ok(Err(_)) | Err(_) => break,
                }
            }
            tracing::warn!(lease = %lease.name, "Lost the lease; whoever takes it next goes on from the stored position");
            stop.cancel();
            // The work is dropped at its next await: whatever it had not committed is done again by the next holder.
        })
    }
}
