//! Who parks, releases or discards takes the locks of several lanes in one order: nobody waits for each other.

use std::time::Duration;

use tests::body::{IG, instagram, now, text};
use tests::{Lab, Role, eventually};

use super::POISONED;

/// Comes before every lane of the account.
const FIRST: &str = "instagram/0";

async fn keep(conn: &mut sqlx::PgConnection, lane: &str) -> sqlx::Result<()> {
    sqlx::query("select worker.keep_held_lane($1)").bind(lane).execute(conn).await.map(|_| ())
}

async fn number(lab: &Lab, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(lab.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn releasing_takes_lanes_in_the_order_of_parking() {
    let mut lab = Lab::with_roles_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id in ('mid.1', 'mid.2')").await;
    let at = now();
    for (n, mid) in ["mid.1", "mid.2"].into_iter().enumerate() {
        let item = text(IG, POISONED, mid, at + i64::try_from(n).unwrap(), mid);
        assert_eq!(lab.meta().post("/webhooks/instagram", &instagram(item)).await, 200);
        eventually("it is parked", Duration::from_secs(20), async || {
            let rows = number(&lab, "select count(*) from worker.parked").await;
            tests::client::holds(rows > i64::try_from(n).unwrap(), || format!("{rows} rows"))
        })
        .await;
    }
    lab.stop(Role::Worker).await;
    // The first was parked in another lane than its event is of by now, as after a correction of the normaliser; the second is not tried.
    sqlx::query("update worker.parked set retry_at = null").execute(lab.pool()).await.unwrap();
    let moved: String = sqlx::query_scalar(
        "update worker.parked p set lane = $1, retry_at = clock_timestamp() from worker.parked o
          where p.id = (select min(id) from worker.parked) and o.id = p.id returning o.lane",
    )
    .bind(FIRST)
    .fetch_one(lab.pool())
    .await
    .unwrap();
    // Somebody who parks in both lanes has the first, when the release of it begins.
    let mut tx = lab.pool().begin().await.unwrap();
    keep(&mut tx, FIRST).await.unwrap();
    lab.run(Role::Worker).await;
    eventually("the release waits", Duration::from_secs(30), async || {
        let waiting = number(
            &lab,
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .await;
        tests::client::holds(waiting > 0, || "nobody waits".to_owned())
    })
    .await;
    // Beyond `deadlock_timeout`: who waits from now on is the one that Postgres would choose.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    keep(&mut tx, &moved).await.expect("nobody has the other lane and waits for this one");
    tx.commit().await.unwrap();
    lab.mend().await;
    let lanes = vec![moved];
    eventually("everything is released", Duration::from_secs(30), async || {
        worker::inbound::parked::retry_now(lab.pool(), &lanes).await.unwrap();
        let rows = number(&lab, "select count(*) from worker.parked").await;
        tests::client::holds(rows == 0, || format!("{rows} rows"))
    })
    .await;
}
