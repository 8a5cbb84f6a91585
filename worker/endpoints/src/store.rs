//! The rows of endpoints: how each stands, and the events that are held for it. Every transaction updates the row of the endpoint first, so
//! that those of one endpoint come one after the other.

mod held;

use std::time::Duration;

use runtime::lease::{Lease, Leases, Position};
use schemas::Timestamp;
use schemas::subjects::INBOX_EVENTS;
use sqlx::{FromRow, PgConnection, PgPool};

use crate::breaker::{Breaker, State};
use crate::item::Item;

/// What the leases and positions of endpoints begin with; the id follows.
pub const NAME_PREFIX: &str = "endpoint:";

/// The lease and position of an endpoint.
pub(crate) fn name(id: &str) -> String {
    format!("{NAME_PREFIX}{id}")
}

/// How an endpoint stands.
#[derive(Debug, Default, FromRow)]
pub(crate) struct StateRow {
    state: String,
    failing_since: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    last_failure_at: Option<Timestamp>,
    last_error: Option<String>,
    pub(crate) reached_at: Option<Timestamp>,
    pub(crate) changes_seen: i64,
    pub(crate) resumes_seen: i64,
    pub(crate) replay_done: i64,
}

impl StateRow {
    pub(crate) fn breaker(&self) -> Breaker {
        Breaker::stored(
            State::of(&self.state),
            self.failing_since,
            self.last_success_at,
            self.last_failure_at,
            self.last_error.clone(),
        )
    }
}

/// The first held event of a lane.
#[derive(Debug, FromRow)]
pub(crate) struct Head {
    #[sqlx(try_from = "i64")]
    pub(crate) sequence: u64,
    pub(crate) webhook_id: String,
    pub(crate) stored_at: Timestamp,
    pub(crate) attempts: i32,
}

/// A lane that is held from now on.
#[derive(Debug)]
pub(crate) struct NewLane {
    pub(crate) lane: String,
    pub(crate) attempts: i32,
    pub(crate) retry_in: Duration,
    pub(crate) error: Option<String>,
}

/// How the first held event of a lane ended.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Delivered, or gone from the stream.
    Done,
    Failed {
        retry_in: Duration,
        error: String,
    },
}

/// The rows of one endpoint.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) pool: PgPool,
    pub(crate) leases: Leases,
    pub(crate) id: String,
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

impl Store {
    /// How it stands; its row is made where there is none.
    pub(crate) async fn load(&self) -> sqlx::Result<StateRow> {
        sqlx::query(
            "insert into worker.endpoint_states (endpoint_id) values ($1) on conflict do nothing",
        )
        .bind(&self.id)
        .execute(&self.pool)
        .await?;
        sqlx::query_as(
            "select state, failing_since, last_success_at, last_failure_at, last_error, reached_at, changes_seen, resumes_seen, replay_done
               from worker.endpoint_states where endpoint_id = $1",
        )
        .bind(&self.id)
        .fetch_one(&self.pool)
        .await
    }

    /// Stores how it stands; the others wait until this transaction ends. `reached`: when the broker stored the last event that is taken.
    /// `false`: the endpoint was removed.
    async fn lock(
        &self,
        tx: &mut PgConnection,
        breaker: &Breaker,
        reached: Option<Timestamp>,
    ) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "update worker.endpoint_states
                set state = $2, failing_since = $3, last_success_at = $4, last_failure_at = $5, last_error = $6,
                    reached_at = coalesce($7, reached_at)
              where endpoint_id = $1",
        )
        .bind(&self.id)
        .bind(breaker.state.as_str())
        .bind(breaker.failing_since)
        .bind(breaker.last_success_at)
        .bind(breaker.last_failure_at)
        .bind(&breaker.last_error)
        .bind(reached)
        .execute(tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stores how it stands.
    pub(crate) async fn put(&self, breaker: &Breaker) -> sqlx::Result<()> {
        let mut tx = self.leases.begin_derived().await?;
        self.lock(&mut tx, breaker, None).await?;
        tx.commit().await
    }

    /// A changed definition takes effect: what is held is tried at once.
    pub(crate) async fn changed(
        &self,
        breaker: &Breaker,
        changes: i64,
        resumes: i64,
    ) -> sqlx::Result<()> {
        let mut tx = self.leases.begin().await?;
        self.lock(&mut tx, breaker, None).await?;
        sqlx::query(
            "update worker.endpoint_states set changes_seen = $2, resumes_seen = $3 where endpoint_id = $1",
        )
        .bind(&self.id)
        .bind(changes)
        .bind(resumes)
        .execute(&mut *tx)
        .await?;
        self.all_due(&mut tx).await?;
        tx.commit().await
    }

    /// Nothing that is held waits any more.
    pub(crate) async fn make_all_due(&self, breaker: &Breaker) -> sqlx::Result<()> {
        let mut tx = self.leases.begin_derived().await?;
        self.lock(&mut tx, breaker, None).await?;
        self.all_due(&mut tx).await?;
        tx.commit().await
    }

    async fn all_due(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(
            "update worker.endpoint_lanes set retry_at = clock_timestamp() where endpoint_id = $1",
        )
        .bind(&self.id)
        .execute(tx)
        .await
        .map(|_| ())
    }

    /// Sets the position, and forgets what is held behind `held_up_to`: it is read again. `false`: the lease is lost.
    pub(crate) async fn begin_at(
        &self,
        lease: &Lease,
        (from, to): (u64, Position),
        held_up_to: u64,
        replay_done: i64,
    ) -> sqlx::Result<bool> {
        let mut tx = self.leases.begin().await?;
        sqlx::query("update worker.endpoint_states set replay_done = $2 where endpoint_id = $1")
            .bind(&self.id)
            .bind(replay_done)
            .execute(&mut *tx)
            .await?;
        sqlx::query("delete from worker.endpoint_held where endpoint_id = $1 and sequence > $2")
            .bind(&self.id)
            .bind(number(held_up_to))
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "delete from worker.endpoint_lanes l
              where l.endpoint_id = $1
                and not exists (select from worker.endpoint_held h where h.endpoint_id = l.endpoint_id and h.lane = l.lane)",
        )
        .bind(&self.id)
        .execute(&mut *tx)
        .await?;
        if !self.leases.move_position(&mut tx, lease, INBOX_EVENTS, from, to).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps what was not delivered and moves the position: both or neither. `false`: the lease is lost.
    pub(crate) async fn take(
        &self,
        breaker: &Breaker,
        held: &[Item],
        lanes: &[NewLane],
        moved: (&Lease, u64, Position),
    ) -> sqlx::Result<bool> {
        let (lease, from, to) = moved;
        let mut tx = self.leases.begin_derived().await?;
        if !self.lock(&mut tx, breaker, to.at).await? {
            return Ok(false);
        }
        if !held.is_empty() {
            self.hold(&mut tx, held, lanes).await?;
        }
        if !self.leases.move_position(&mut tx, lease, INBOX_EVENTS, from, to).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets the endpoint: its definition was removed.
    pub(crate) async fn forget(&self, name: &str) -> sqlx::Result<()> {
        let mut tx = self.leases.begin().await?;
        sqlx::query("delete from worker.endpoint_states where endpoint_id = $1")
            .bind(&self.id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("delete from worker.endpoint_held where endpoint_id = $1")
            .bind(&self.id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("delete from worker.endpoint_lanes where endpoint_id = $1")
            .bind(&self.id)
            .execute(&mut *tx)
            .await?;
        self.leases.forget(&mut tx, name).await?;
        tx.commit().await
    }
}

/// Endpoints with rows.
pub(crate) async fn known(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select endpoint_id from worker.endpoint_states").fetch_all(pool).await
}
