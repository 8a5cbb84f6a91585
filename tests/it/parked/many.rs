//! `redrive` over much parked work: every row is in reach, little is let go at once, and a slow worker is waited for.

use std::time::Duration;

use serde_json::Value;
use tests::body::{IG, instagram, now, text};
use tests::{Lab, eventually};

use super::{parked, texts};

fn person(n: usize) -> String {
    format!("52000000003{n:05}")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_ten_thousand_are_in_reach() {
    const ROWS: i64 = 10_050;
    let lab = Lab::start().await;
    sqlx::query(
        "insert into worker.parked (shard, lane, raw_seq, account_id, role, cause, fingerprint)
         select 0, 'lane-' || n, n, '1', 'failed', case when n = $1 then 'last' else 'panic' end, n::text from generate_series(1, $1) n",
    )
    .bind(ROWS)
    .execute(lab.pool())
    .await
    .unwrap();
    let last: i64 = sqlx::query_scalar("select id from worker.parked where cause = 'last'")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    let (code, out, err) =
        lab.hookline(&["redrive", "show", &last.to_string(), "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(parked(&lab).await.len(), usize::try_from(ROWS).unwrap());
    let (_, out, err) = lab.hookline(&["redrive", "list"]).await;
    assert!(out.contains("10049"), "{out}{err}");
    let (_, out, err) =
        lab.hookline(&["redrive", "run", "--cause", "last", "--dry-run", "--output", "json"]).await;
    let plan: Value = serde_json::from_str(&out).expect(&err);
    assert_eq!(plan["lanes"], 1, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_let_go_in_parts_and_a_part_that_fails_ends_the_run() {
    const PEOPLE: usize = 250;
    let mut lab = Lab::start().await;
    // Nothing is tried again by itself.
    lab.set("RETRY_MIN", "1h");
    lab.set("RETRY_MAX", "1h");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id like 'mid.poison.%'").await;
    let meta = lab.meta();
    for n in 0..PEOPLE {
        let body = instagram(text(IG, &person(n), &format!("mid.poison.{n}"), now(), "one"));
        assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
    }
    eventually("all are parked", Duration::from_secs(60), async || {
        match parked(&lab).await.len() {
            PEOPLE => Ok(()),
            n => Err(format!("{n} rows")),
        }
    })
    .await;
    // Mended for the eleven of the first two steps only.
    lab.mend().await;
    let mids: Vec<String> = sqlx::query_scalar(
        "select '''mid.poison.' || (substr(lane, length(lane) - 4)::int) || '''' from worker.parked order by id offset 11",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    lab.poison(&format!("new.message_id in ({})", mids.join(","))).await;
    let (code, out, err) = lab.hookline(&["redrive", "run", "--output", "json"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&result["result"], &result["not_tried"]), (&"failed_again".into(), &139.into()));
    // What was let go is tried to its end, and nothing else.
    let count = async || -> (i64, i64) {
        sqlx::query_as("select count(*), count(*) filter (where attempts > 1) from worker.parked")
            .fetch_one(lab.pool())
            .await
            .unwrap()
    };
    eventually("a part is tried to its end", Duration::from_secs(60), async || {
        match count().await {
            (239, 100) => Ok(()),
            other => Err(format!("{other:?} {out}")),
        }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count().await, (239, 100), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_takes_long_is_waited_for_as_long_as_it_moves() {
    const ROWS: i64 = 12;
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id like 'mid.poison.%'").await;
    let meta = lab.meta();
    let at = now();
    for n in 0..ROWS {
        let mid = format!("mid.poison.{n}");
        let body = instagram(text(IG, &person(0), &mid, at + n, &format!("{n:02}")));
        assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
    }
    lab.settled().await;
    assert_eq!(parked(&lab).await.len(), usize::try_from(ROWS).unwrap());
    sqlx::raw_sql(
        "update worker.parked set attempts = 20, retry_at = null where role = 'failed';
         create or replace function public.poison() returns trigger language plpgsql as $$ begin perform pg_sleep(0.6); return new; end $$",
    )
    .execute(lab.pool())
    .await
    .unwrap();
    // Twice as long as the verb waits for a sign of life.
    let (code, out, err) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(parked(&lab).await.is_empty());
    lab.settled().await;
    let expected: Vec<String> = (0..ROWS).map(|n| format!("{n:02}")).collect();
    assert_eq!(texts(&lab, &person(0)).await, expected);
}
