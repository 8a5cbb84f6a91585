//! Servers that go away and come back: refused at once, recovered without a restart, nothing lost.

use std::time::{Duration, Instant};

use tests::body::{IG, instagram, now, text};
use tests::{Lab, LabOptions, Role, eventually};

async fn lab() -> Lab {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.run_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab
}

fn person(n: usize) -> String {
    format!("52000000000{n:05}")
}

async fn shows(lab: &Lab, people: usize) {
    let api = lab.api();
    eventually("every accepted message shows once", Duration::from_secs(60), async || {
        let (status, page) = api.get("/v1/conversations?limit=1").await;
        if status == 200 && page["total"] == people {
            Ok(())
        } else {
            Err(format!("{status} {page}"))
        }
    })
    .await;
    let rows: i64 = sqlx::query_scalar("select count(*) from inbox.messages")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(rows, i64::try_from(people).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_ingest_refuses_at_once_and_recovers_by_itself() {
    let mut lab = lab().await;
    let meta = lab.meta();
    let first = instagram(text(IG, &person(1), "mid.1", now(), "before"));
    assert_eq!(meta.post("/webhooks/instagram", &first).await, 200);
    lab.nats.own().kill9().await.unwrap();
    // The client may need a moment to notice; from then on every refusal is instant.
    let second = instagram(text(IG, &person(2), "mid.2", now(), "during"));
    assert_eq!(meta.post("/webhooks/instagram", &second).await, 503);
    let asked = Instant::now();
    assert_eq!(meta.post("/webhooks/instagram", &second).await, 503);
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    for role in Role::ALL {
        lab.not_ready(role, "broker", Duration::from_secs(10)).await;
    }
    lab.nats.own().restart().await.unwrap();
    meta.deliver("/webhooks/instagram", &second).await;
    lab.all_ready().await;
    let third = instagram(text(IG, &person(3), "mid.3", now(), "after"));
    assert_eq!(meta.post("/webhooks/instagram", &third).await, 200);
    shows(&lab, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_ingest_goes_on_and_the_others_catch_up() {
    let mut lab = lab().await;
    let meta = lab.meta();
    assert_eq!(
        meta.post("/webhooks/instagram", &instagram(text(IG, &person(0), "mid.0", now(), "a")))
            .await,
        200
    );
    shows(&lab, 1).await;
    lab.postgres.own().kill9().await.unwrap();
    for n in 1..=20 {
        let body = instagram(text(IG, &person(n), &format!("mid.{n}"), now(), "b"));
        assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
    }
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.not_ready(role, "postgres", Duration::from_secs(10)).await;
    }
    assert_eq!(lab.api().get("/v1/conversations").await.0, 503);
    assert_eq!(lab.readyz(Role::Ingest).await.0, 200);
    lab.postgres.own().restart().await.unwrap();
    lab.all_ready().await;
    shows(&lab, 21).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_started_before_their_servers_wait_for_them() {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.nats.own().stop().await.unwrap();
    lab.postgres.own().stop().await.unwrap();
    for role in Role::ALL {
        lab.run(role).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for role in Role::ALL {
        eventually("alive but not ready", Duration::from_secs(10), async || {
            let live = lab
                .meta()
                .http
                .get(format!("{}/livez", lab.url(role)))
                .send()
                .await
                .map(|a| a.status().as_u16());
            match live {
                Ok(200) if lab.readyz(role).await.0 == 503 => Ok(()),
                other => Err(format!("{role:?}: {other:?}\n{}", lab.log(role))),
            }
        })
        .await;
    }
    lab.postgres.own().restart().await.unwrap();
    lab.nats.own().restart().await.unwrap();
    lab.all_ready().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let body = instagram(text(IG, &person(1), "mid.1", now(), "hello"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    shows(&lab, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_drains_and_exits_0() {
    let mut lab = lab().await;
    for role in Role::ALL {
        let asked = Instant::now();
        assert_eq!(lab.stop(role).await, Some(0), "{role:?}\n{}", lab.log(role));
        assert!(asked.elapsed() < Duration::from_secs(10), "{role:?}: {:?}", asked.elapsed());
    }
}

/// The broker starts on an empty disk, and then on its own again. Nobody skips or repeats meanwhile, it is reported, and it goes on
/// by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_lost_is_reported_and_followed_again_when_it_is_restored() {
    let mut lab = lab().await;
    let meta = lab.meta();
    for n in 0..5 {
        let body = instagram(text(IG, &person(n), &format!("mid.{n}"), now(), "before"));
        assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
    }
    shows(&lab, 5).await;
    let (data, aside) = (lab.data_folder().join("nats/store"), lab.data_folder().join("aside"));
    lab.nats.own().stop().await.unwrap();
    std::fs::rename(&data, &aside).unwrap();
    lab.nats.own().restart().await.unwrap();
    lab.not_ready(Role::Projector, "is gone", Duration::from_secs(60)).await;
    lab.nats.own().stop().await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&aside, &data).unwrap();
    lab.nats.own().restart().await.unwrap();
    let body = instagram(text(IG, &person(5), "mid.5", now(), "after"));
    meta.deliver("/webhooks/instagram", &body).await;
    shows(&lab, 6).await;
    lab.ready(Role::Projector).await;
}
