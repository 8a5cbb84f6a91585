//! A person asks Meta for the deletion of their data.

use serde_json::Value;
use simulator::CallbackKind;
use tests::body::{IG, body, entry, now, text};
use tests::client::holds;
use tests::{Lab, Role, eventually};

use super::WITHIN;

const ANN: &str = "5200000000000011";

/// The first words of a person stand in META_RAW and are not read yet when the request is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_yet_is_erased_too() {
    let mut lab = Lab::start().await;
    lab.set("PUBLIC_URL", "https://hookline.example/");
    lab.run_apart().await;
    lab.point_meta_at_ingest();
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.kill9(Role::Worker).await;
    let at = now();
    let item = text(IG, ANN, "mid.1", at, "canary-unread");
    let body = body("instagram", &[entry(IG, at, &[item])]);
    assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    let (status, answer) = lab.simulator.call_back("main", CallbackKind::Deletion, ANN, None).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let page = format!(
        "{}/deletion/{}",
        lab.url(Role::Api),
        answer["confirmation_code"].as_str().unwrap()
    );
    // Another worker has the shards for a while, and is stuck.
    sqlx::raw_sql(
        "update worker.leases set owner = 'stuck', epoch = epoch + 1, expires_at = clock_timestamp() + interval '6 seconds' where name like 'raw-%';
         delete from worker.members;
         insert into worker.members (owner, seen_at) values ('stuck', clock_timestamp())",
    )
    .execute(lab.pool())
    .await
    .unwrap();
    lab.run(Role::Worker).await;
    eventually("the request is kept", WITHIN, async || {
        let kept: i64 = sqlx::query_scalar("select count(*) from worker.callbacks")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        holds(kept == 1, || "none".to_owned())
    })
    .await;
    let unread: i64 = sqlx::query_scalar("select count(*) from worker.facts where contact_id = $1")
        .bind(ANN)
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(unread, 0, "the shards were read too early for this test");
    eventually("she is erased, and the page says so", WITHIN, async || {
        let text = reqwest::get(&page).await.map_err(|error| error.to_string())?.text().await;
        let text = text.map_err(|error| error.to_string())?;
        assert!(!text.contains("No account and no conversation"), "{text}");
        let found = lab.places_of(&["canary-unread"]).await;
        let is_done = text.contains("the data was deleted");
        holds(found.is_empty() && is_done, || format!("{text}\n{}", found.join("\n")))
    })
    .await;
    let named: i64 =
        sqlx::query_scalar("select count(*) from worker.callbacks where person is not null")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(named, 0, "who it was about is not kept");
}
