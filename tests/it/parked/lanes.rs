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
        are_right(lab.pool(), &format!("after round {round}")).await;
    }
}

/// The table is what follows from the parked rows.
async fn are_right(pool: &PgPool, when: &str) {
    type Lane = (String, i64, Option<i64>);
    let held: Vec<Lane> = sqlx::query_as(
        "select lane, head, floor(extract(epoch from retry_at) * 1000)::bigint from worker.held_lanes order by lane",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let parked: Vec<Lane> = sqlx::query_as(
        "select distinct on (lane) lane, id, floor(extract(epoch from retry_at) * 1000)::bigint
           from worker.parked order by lane, raw_era, raw_seq",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(held, parked, "{when}");
}

#[tokio::test]
async fn lanes_from_before_are_held_after_the_migration() {
    let lab = Lab::start().await;
    let before = "drop trigger parked_rows on worker.parked;
         drop trigger parked_order on worker.parked;
         drop function worker.parked_changed, worker.keep_held_lane, worker.drop_parked_raw;
         drop table worker.held_lanes, worker.parked_raws;
         alter table worker.parked drop column event_ids;
         create index parked_by_shard on worker.parked (shard, lane);
         insert into worker.parked (shard, lane, raw_seq, account_id, role, cause, retry_at, fingerprint)
         select 0, 'lane-' || n % 7, n, '1', 'failed', 'panic', case when n % 2 = 0 then now() end, n::text from generate_series(1, 50) n";
    sqlx::raw_sql(before).execute(lab.pool()).await.unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/migrations/0018_held_lanes.sql");
    let sql = sqlx::AssertSqlSafe(std::fs::read_to_string(file).unwrap());
    sqlx::raw_sql(sql).execute(lab.pool()).await.unwrap();
    are_right(lab.pool(), "after the migration").await;
    act(lab.pool()).await;
    are_right(lab.pool(), "after an act").await;
}
