//! Nothing of an erased person is left on the disk: no file of Postgres and none of the broker has their words.

use std::path::Path;

use serde_json::{Value, json};
use tests::body::{IG, body, entry, now, text};
use tests::lab::files_with;
use tests::{Lab, LabOptions, Role};

const ANN: &str = "5200000000000011";
/// In every text of hers; 20 of them have words of their own behind it.
const CANARY: &str = "QZXcanary";
const CANARIES: i64 = 20;
/// Bodies, each with items of three people.
const BODIES: i64 = 200;

async fn checkpoint(lab: &Lab) {
    sqlx::raw_sql("checkpoint").execute(lab.pool()).await.unwrap();
}

/// A talk of three, with edits, so that words stand in several places of pages.
fn bodies(at: i64) -> Vec<Vec<u8>> {
    let edit = |mid: &str, at: i64, words: &str| {
        json!({"sender": {"id": ANN}, "recipient": {"id": IG}, "timestamp": at,
               "message_edit": {"mid": mid, "text": words, "num_edit": 1}})
    };
    let one = |n: i64| {
        let at = at + n * 10;
        let (hers, canary) =
            (format!("mid.a{n}"), format!("{CANARY} {} and {}", n % CANARIES, "more ".repeat(30)));
        let mut items = vec![
            text(IG, ANN, &hers, at, &canary),
            text(IG, "5200000000000022", &format!("mid.b{n}"), at + 1, &format!("bob says {n}")),
            text(IG, "5200000000000033", &format!("mid.c{n}"), at + 2, &format!("cleo says {n}")),
        ];
        if n % 5 == 0 {
            items.push(edit(&hers, at + 3, &format!("{CANARY} edited {n}")));
        }
        body("instagram", &[entry(IG, at, &items)])
    };
    (0..BODIES).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_has_a_word_of_an_erased_person() {
    let mut lab = Lab::start_with(LabOptions { empty: false, ..LabOptions::OWN }).await;
    lab.run_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let bodies = bodies(now() - 60_000);
    for some in bodies.chunks(20) {
        let asked =
            some.iter().map(|body| async { lab.meta().post("/webhooks/instagram", body).await });
        let answers = futures::future::join_all(asked).await;
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    }
    lab.settled().await;
    sqlx::raw_sql("analyze").execute(lab.pool()).await.unwrap();
    checkpoint(&lab).await;
    let (postgres, nats) = (lab.data_folder().join("postgres"), lab.data_folder().join("nats"));
    let found = |folder: &Path| files_with(folder, &[CANARY]);
    assert!(!found(&postgres).is_empty() && !found(&nats).is_empty(), "the search finds nothing");

    let asked =
        ["erase", "--account", IG, "--contact", ANN, "--reason", "a test", "--output", "json"];
    let result = lab.hookline_ok(&asked).await;
    let result: Value = serde_json::from_str(result.trim()).unwrap();
    assert_eq!(result["read_model_followed"], true, "{result}");
    assert_eq!(result["left"], json!([]), "{result}");
    checkpoint(&lab).await;
    assert_eq!(found(&postgres), [""; 0], "files of Postgres");
    assert_eq!(found(&nats), [""; 0], "files of the broker");
    let others: i64 =
        sqlx::query_scalar("select count(*) from inbox.messages where text like '% says %'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(others, 2 * BODIES, "what others said is there");
    assert_eq!(lab.readyz(Role::Worker).await.0, 200);
}
