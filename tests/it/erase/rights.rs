//! What a user of the broker lacks to erase.

use std::time::{Duration, Instant};

use serde_json::json;
use servers::{NatsOptions, NatsServer};
use tests::body::{IG, body, entry, now, text};
use tests::client::holds;
use tests::up::Folder;
use tests::{Lab, LabOptions, Role, eventually};

use super::WITHIN;

/// A broker with the users of the release before: nobody may delete single messages.
async fn broker_of_the_release_before(folder: std::path::PathBuf) -> NatsServer {
    let users = tests::shared::users::by_name();
    let kept: Vec<&str> =
        users.lines().filter(|line| !line.contains("STREAM.MSG.DELETE")).collect();
    assert!(kept.len() < users.lines().count());
    let options = NatsOptions {
        password: false,
        extra_config: Some(kept.join("\n")),
        ..NatsOptions::new(folder)
    };
    NatsServer::start(options).await.unwrap()
}

#[tokio::test]
async fn a_user_without_the_right_is_answered_in_time() {
    let folder = Folder::new("erase-rights");
    let mut nats = tests::servers::nats_with_deployed_users(folder.path().join("nats")).await;
    for (user, may) in [("worker", true), ("operator", true), ("projector", false)] {
        let client = async_nats::ConnectOptions::with_user_and_password(user.into(), user.into())
            .custom_inbox_prefix(format!("_INBOX_{user}"))
            .connect(nats.url())
            .await
            .unwrap();
        let js = async_nats::jetstream::new(client);
        let began = Instant::now();
        let asked = worker::erase::may_erase(&js).await;
        assert_eq!(asked.is_ok(), may, "{user}: {asked:?}");
        if let Err(error) = asked {
            assert!(error.to_string().contains("$JS.API.STREAM.MSG.DELETE.META_RAW"), "{error}");
            // It is not answered at all: the limit is ours, below that of the connection (10 s).
            assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
        }
    }
    nats.stop().await.unwrap();
}

/// A worker that was upgraded before the broker's users begins nothing that it cannot end, and works otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_nothing_is_begun_and_it_is_named() {
    let mut lab = Lab::start_with(LabOptions { empty: false, ..LabOptions::OWN }).await;
    let mut nats = broker_of_the_release_before(lab.data_folder().join("nats-of-before")).await;
    lab.set("NATS_MONITOR_URL", &nats.monitor_url());
    lab.set("ERASE_UNSENT_AFTER", "1s");
    let at = nats.url().replace("nats://", "");
    // What verbs run with is what the last one runs with.
    for role in [Role::Ingest, Role::Worker] {
        lab.set("NATS_URL", &format!("nats://{0}:{0}@{at}", role.name()));
        lab.run(role).await;
    }
    lab.ready(Role::Worker).await;
    lab.ready(Role::Ingest).await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let at = now();
    let items = [
        text(IG, "52", "mid.1", at, "regretted"),
        json!({"sender": {"id": "52"}, "recipient": {"id": IG}, "timestamp": at + 1,
               "message": {"mid": "mid.1", "is_deleted": true}}),
    ];
    let body = body("instagram", &[entry(IG, at, &items)]);
    assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    eventually("the worker reads webhooks, and says what it lacks", WITHIN, async || {
        let facts: i64 = sqlx::query_scalar(
            "select count(*) from worker.facts where left(kind, 15) = 'message.deleted'",
        )
        .fetch_one(lab.pool())
        .await
        .map_err(|error| error.to_string())?;
        let (_, ready) = lab.readyz(Role::Worker).await;
        let named = ready.contains("$JS.API.STREAM.MSG.DELETE.META_RAW");
        holds(facts == 1 && named, || format!("{facts} facts\n{ready}"))
    })
    .await;
    // Longer than the message is kept.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let begun: i64 = sqlx::query_scalar("select count(*) from worker.erasures")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(begun, 0);
    let (_, doctor, _) = lab.hookline(&["doctor", "--output", "json"]).await;
    assert!(doctor.contains("right to erase") && doctor.contains("nats-users.conf"), "{doctor}");
    let erase = ["erase", "--account", IG, "--message", "mid.1", "--reason", "a test"];
    let (code, _, err) = lab.hookline(&erase).await;
    assert!(code == 3 && err.contains("STREAM.MSG.DELETE"), "{code} {err}");
    for role in [Role::Worker, Role::Ingest] {
        lab.stop(role).await;
    }
    nats.stop().await.unwrap();
}
