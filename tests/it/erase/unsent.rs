//! What was unsent is erased after a while, by the worker.

use serde_json::json;
use tests::body::{IG, body, entry, now, text};
use tests::client::holds;
use tests::{Lab, Role, eventually};

use super::{WITHIN, places_of};

const ANN: &str = "5200000000000011";

#[tokio::test(flavor = "multi_thread")]
async fn an_unsent_message_is_erased_and_the_others_stay() {
    let mut lab = Lab::start().await;
    lab.set("ERASE_UNSENT_AFTER", "1s");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let at = now();
    let items = [
        text(IG, ANN, "mid.1", at, "stays here"),
        text(IG, ANN, "mid.2", at + 1, "canary-regretted"),
    ];
    let unsent = json!({"sender": {"id": ANN}, "recipient": {"id": IG}, "timestamp": at + 2,
                        "message": {"mid": "mid.2", "is_deleted": true}});
    for items in [&items[..], &[unsent]] {
        let body = body("instagram", &[entry(IG, at, items)]);
        assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    }
    eventually("its words are gone", WITHIN, async || {
        let found = places_of(&lab, &["canary-regretted"]).await;
        holds(found.is_empty(), || found.join("\n"))
    })
    .await;
    eventually("nothing is left to do", WITHIN, async || {
        let open: i64 =
            sqlx::query_scalar("select count(*) from worker.erasures where finished_at is null")
                .fetch_one(lab.pool())
                .await
                .map_err(|error| error.to_string())?;
        holds(open == 0, || format!("{open} erasures"))
    })
    .await;
    lab.settled().await;
    let texts: Vec<Option<String>> = sqlx::query_scalar(
        "select text from inbox.messages where contact_id = $1 and text is not null",
    )
    .bind(ANN)
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(texts, [Some("stays here".to_owned())]);
    assert!(lab.readyz(Role::Worker).await.0 == 200);
}
