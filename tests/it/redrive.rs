//! `hookline redrive` killed at any point: the workers do the work of lanes, the verb itself that of the projector; nothing is lost and
//! nothing is done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use tests::body::{IG, instagram, now, text};
use tests::traffic::{share, soak};
use tests::{Lab, eventually};

const MESSAGES: &str = "inbox_v1.messages";

async fn parked(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from worker.parked").fetch_one(lab.pool()).await.unwrap()
}

async fn set_aside(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from inbox.parked").fetch_one(lab.pool()).await.unwrap()
}

/// So many messages that the projector could not store, and could by now.
async fn fail_to_project(lab: &Lab, count: usize) {
    lab.poison_in(MESSAGES, "new.text = 'aside'").await;
    let meta = lab.meta();
    for n in 0..count {
        let body =
            text(IG, &format!("52000000002{n:05}"), &format!("mid.aside.{n}"), now(), "aside");
        assert_eq!(meta.post("/webhooks/instagram", &instagram(body)).await, 200);
    }
    eventually("they are set aside", Duration::from_secs(60), async || {
        match set_aside(lab).await {
            rows if rows == i64::try_from(count).unwrap() => Ok(()),
            rows => Err(format!("{rows} of {count}")),
        }
    })
    .await;
    lab.mend_in(MESSAGES).await;
}

async fn killed(points: usize, lanes: usize) {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id like 'mid.poison.%'").await;
    let meta = lab.meta();
    for part in ["poison", "behind"] {
        for n in 0..lanes {
            let body =
                text(IG, &format!("52000000001{n:05}"), &format!("mid.{part}.{n}"), now(), part);
            assert_eq!(meta.post("/webhooks/instagram", &instagram(body)).await, 200);
        }
        eventually("they are parked", Duration::from_secs(60), async || {
            let wanted = i64::try_from(lanes).unwrap() * if part == "poison" { 1 } else { 2 };
            match parked(&lab).await {
                rows if rows == wanted => Ok(()),
                rows => Err(format!("{rows} of {wanted}")),
            }
        })
        .await;
    }
    fail_to_project(&lab, 2 * lanes).await;
    // As after twenty tries: nothing is tried again by itself.
    sqlx::raw_sql("update worker.parked set attempts = 20, retry_at = null where role = 'failed'")
        .execute(lab.pool())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    lab.mend().await;
    for point in 0..points {
        let mut verb = lab
            .command(&["redrive", "run"])
            .args(if point % 2 == 0 { &[][..] } else { &["--stage", "projector"] })
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let after = rand::rng().random_range(50..600);
        tokio::time::sleep(Duration::from_millis(after)).await;
        verb.kill().await.unwrap();
        let left = (parked(&lab).await, set_aside(&lab).await);
        println!(
            "kill {point} after {after} ms: {} rows are parked, {} events set aside",
            left.0, left.1
        );
    }
    let (code, out, err) = lab.hookline(&["redrive", "run", "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let result: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&result["result"], &result["projector"]["result"]),
        (&"released".into(), &"released".into())
    );
    assert_eq!((parked(&lab).await, set_aside(&lab).await), (0, 0));
    lab.settled().await;
    let shown: i64 = sqlx::query_scalar("select count(*) from inbox.messages where text = 'aside'")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(usize::try_from(shown).unwrap(), 2 * lanes);
    let (code, out, err) = lab.hookline(&["verify"]).await;
    assert_eq!(code, 0, "{out}{err}");
    each_in_order(&lab, lanes).await;
    let (_, out, _) = lab.hookline(&["audit", "--output", "json"]).await;
    let acts: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&acts[0]["verb"], &acts[0]["result"]["result"]),
        (&"redrive run".into(), &"released".into())
    );
}

/// What was parked is published, of everybody: once each, in order.
async fn each_in_order(lab: &Lab, lanes: usize) {
    let mut released: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in lab.events().await {
        if event["type"] == "hookline.message.received.v1" && event["data"]["text"] != "aside" {
            let data = &event["data"];
            let said = data["text"].as_str().unwrap().to_owned();
            released.entry(data["contact_id"].as_str().unwrap().to_owned()).or_default().push(said);
        }
    }
    assert_eq!(released.len(), lanes);
    for (contact, texts) in released {
        assert_eq!(texts, ["poison", "behind"], "{contact}: once each, in order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_loses_nothing() {
    killed(2, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_redrive() {
    killed(share(20, soak()), 250).await;
}
