//! The held events of an endpoint, by lane.

use schemas::Timestamp;
use sqlx::PgConnection;

use super::{Head, NewLane, Settled, Store, number};
use crate::breaker::Breaker;
use crate::item::Item;

impl Store {
    /// When the broker stored the oldest event that is held.
    pub(crate) async fn oldest_held(&self) -> sqlx::Result<Option<Timestamp>> {
        sqlx::query_scalar("select min(stored_at) from worker.endpoint_held where endpoint_id = $1")
            .bind(&self.id)
            .fetch_one(&self.pool)
            .await
    }

    /// How many events are held.
    pub(crate) async fn count(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar("select count(*) from worker.endpoint_held where endpoint_id = $1")
            .bind(&self.id)
            .fetch_one(&self.pool)
            .await
    }

    /// Which of these lanes are held.
    pub(crate) async fn held_lanes(&self, lanes: &[String]) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "select l.lane from unnest($2::text[]) asked (lane)
               join worker.endpoint_lanes l on l.endpoint_id = $1 and l.lane = asked.lane",
        )
        .bind(&self.id)
        .bind(lanes)
        .fetch_all(&self.pool)
        .await
    }

    /// Lanes whose first event is to be tried now, without those that are busy. `at_once`: whatever its time is.
    pub(crate) async fn due(
        &self,
        busy: &[String],
        at_once: bool,
        max: i64,
    ) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "select lane from worker.endpoint_lanes
              where endpoint_id = $1 and (retry_at <= clock_timestamp() or $3) and lane <> all($2)
              order by retry_at limit $4",
        )
        .bind(&self.id)
        .bind(busy)
        .bind(at_once)
        .bind(max)
        .fetch_all(&self.pool)
        .await
    }

    /// The first held event of a lane.
    pub(crate) async fn head(&self, lane: &str) -> sqlx::Result<Option<Head>> {
        sqlx::query_as(
            "select h.sequence, h.webhook_id, h.stored_at, l.attempts
               from worker.endpoint_lanes l
               join worker.endpoint_held h on h.endpoint_id = l.endpoint_id and h.lane = l.lane
              where l.endpoint_id = $1 and l.lane = $2
              order by h.sequence limit 1",
        )
        .bind(&self.id)
        .bind(lane)
        .fetch_optional(&self.pool)
        .await
    }

    pub(super) async fn hold(
        &self,
        tx: &mut PgConnection,
        held: &[Item],
        lanes: &[NewLane],
    ) -> sqlx::Result<()> {
        let sequences: Vec<i64> = held.iter().map(|item| number(item.sequence)).collect();
        let of: Vec<&str> = held.iter().map(|item| item.lane.as_str()).collect();
        let ids: Vec<&str> = held.iter().map(|item| item.webhook_id.as_str()).collect();
        let times: Vec<Timestamp> = held.iter().map(|item| item.stored_at).collect();
        sqlx::query(
            "insert into worker.endpoint_held (endpoint_id, sequence, lane, webhook_id, stored_at)
             select $1, h.sequence, h.lane, h.webhook_id, h.stored_at
               from unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[]) h (sequence, lane, webhook_id, stored_at)
             on conflict do nothing",
        )
        .bind(&self.id)
        .bind(sequences)
        .bind(of)
        .bind(ids)
        .bind(times)
        .execute(&mut *tx)
        .await?;
        let names: Vec<&str> = lanes.iter().map(|lane| lane.lane.as_str()).collect();
        let attempts: Vec<i32> = lanes.iter().map(|lane| lane.attempts).collect();
        let seconds: Vec<f64> = lanes.iter().map(|lane| lane.retry_in.as_secs_f64()).collect();
        let errors: Vec<Option<&str>> = lanes.iter().map(|lane| lane.error.as_deref()).collect();
        sqlx::query(
            "insert into worker.endpoint_lanes (endpoint_id, lane, attempts, retry_at, last_error)
             select $1, l.lane, l.attempts, clock_timestamp() + make_interval(secs => l.seconds), l.error
               from unnest($2::text[], $3::int[], $4::float8[], $5::text[]) l (lane, attempts, seconds, error)
             on conflict do nothing",
        )
        .bind(&self.id)
        .bind(names)
        .bind(attempts)
        .bind(seconds)
        .bind(errors)
        .execute(tx)
        .await
        .map(|_| ())
    }

    /// The first held event of a lane ended.
    pub(crate) async fn settle(
        &self,
        breaker: &Breaker,
        (lane, sequence): (&str, u64),
        settled: &Settled,
    ) -> sqlx::Result<()> {
        let mut tx = self.leases.begin_derived().await?;
        self.lock(&mut tx, breaker, None).await?;
        match settled {
            Settled::Done => self.done(&mut tx, lane, sequence).await?,
            Settled::Failed { retry_in, error } => {
                sqlx::query(
                    "update worker.endpoint_lanes
                        set attempts = attempts + 1, retry_at = clock_timestamp() + make_interval(secs => $3), last_error = $4
                      where endpoint_id = $1 and lane = $2",
                )
                .bind(&self.id)
                .bind(lane)
                .bind(retry_in.as_secs_f64())
                .bind(error)
                .execute(&mut *tx)
                .await?;
            }
        }
        tx.commit().await
    }

    async fn done(&self, tx: &mut PgConnection, lane: &str, sequence: u64) -> sqlx::Result<()> {
        sqlx::query("delete from worker.endpoint_held where endpoint_id = $1 and sequence = $2")
            .bind(&self.id)
            .bind(number(sequence))
            .execute(&mut *tx)
            .await?;
        let left = sqlx::query(
            "update worker.endpoint_lanes l set attempts = 0, retry_at = clock_timestamp(), last_error = null
              where l.endpoint_id = $1 and l.lane = $2
                and exists (select from worker.endpoint_held h where h.endpoint_id = l.endpoint_id and h.lane = l.lane)",
        )
        .bind(&self.id)
        .bind(lane)
        .execute(&mut *tx)
        .await?;
        if left.rows_affected() == 0 {
            sqlx::query("delete from worker.endpoint_lanes where endpoint_id = $1 and lane = $2")
                .bind(&self.id)
                .bind(lane)
                .execute(tx)
                .await?;
        }
        Ok(())
    }
}
