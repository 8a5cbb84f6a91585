//! Which lanes are held is kept beside the parked rows, by the same transactions.

use rand::RngExt;
use sqlx::PgPool;
use tests::Lab;

const LANES: i64 = 6;
const RAWS: i64 = 12;
const CLIENTS: u64 = 4;
const ACTS: usize = 400;

/// One random act of a worker, or of an operator. What another transaction was faster at is no mistake.
async fn act(pool: &PgPool) {
    let (lane, raw) = {
        let mut rng = rand::rng();
        (format!("lane-{}", rng.random_range(0..LANES)), rng.random_range(0..RAWS))
    };
    let which = rand::rng().random_range(0..10);
    let mut tx = pool.begin().await.unwrap();
    let done = match which {
        0..=3 => {
            sqlx::query(
                "insert into worker.parked (shard, lane, raw_seq, account_id, role, cause, retry_at, fingerprint)
                 values (0, $1, $2, '1', 'failed', 'panic', now() + $2 * interval '1 minute', $2::text) on conflict do nothing",
            )
            .bind(&lane)
            .bind(raw)
            .execute(&mut *tx)
            .await
        }
        4..=6 => {
            sqlx::query("delete from worker.parked where lane = $1 and raw_seq = $2")
                .bind(&lane)
                .bind(raw)
                .execute(&mut *tx)
                .await
        }
        7 => {
            sqlx::query("update worker.parked set retry_at = null where lane = $1 and raw_seq = $2")
                .bind(&lane)
                .bind(raw)
                .execute(&mut *tx)
                .await
        }
        8 => {
            drop(tx);
            worker::inbound::parked::retry_now(pool, &[lane]).await.unwrap();
            return;
        }
        _ => {
            drop(tx);
            let id: Option<i64> = sqlx::query_scalar("select id from worker.parked where lane = $1 limit 1")
                .bind(&lane)
                .fetch_optional(pool)
                .await
                .unwrap();
            worker::inbound::parked::discard(pool, id.unwrap_or(0), "a test", "tester").await.unwrap();
            return;
        }
    };
    done.unwrap();
    // Some give up at the end, as a worker does that lost its shard.
    if rand::rng().random_range(0..5) == 0 {
        tx.rollback().await.unwrap();
    } else {
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_held_lanes_are_those_of_the_parked_rows_whatever_happens_at_once() {
    let lab = Lab::start().await;
    for round in 0..5 {
        let clients = (0..CLIENTS).map(async |_| {
            for _ in 0..ACTS / 5 {
                act(lab.pool()).await;
            }
        });
        futures::future::join_all(clients).await;
        let held: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
            "select lane, head, floor(extract(epoch from retry_at) * 1000)::bigint from worker.held_lanes order by lane",
        )
        .fetch_all(lab.pool())
        .await
        .unwrap();
        let parked: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
            "select distinct on (lane) lane, id, floor(extract(epoch from retry_at) * 1000)::bigint
               from worker.parked order by lane, raw_era, raw_seq",
        )
        .fetch_all(lab.pool())
        .await
        .unwrap();
        assert_eq!(held, parked, "after round {round}");
    }
}
