//! `kill -9` of every role in the middle of the work: every accepted webhook is in the read model once.

use std::collections::BTreeMap;
use std::time::Duration;

use tests::body::{IG, PAGE, body, entry, now, text};
use tests::{Lab, Meta, Role, eventually};

const WEBHOOKS: usize = 4_000;
const PEOPLE: usize = 100;

/// Like Meta: each webhook until it is accepted, and now and then once more.
async fn deliver_all(meta: Meta) {
    let began = now();
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..WEBHOOKS {
        let (object, account, path) = if n % 2 == 0 {
            ("instagram", IG, "/webhooks/instagram")
        } else {
            ("page", PAGE, "/webhooks/facebook")
        };
        let person = format!("5200000000{:06}", n % PEOPLE);
        let at = began + i64::try_from(n).unwrap();
        let item = text(account, &person, &format!("mid.{n}"), at, &format!("text {n}"));
        let body = body(object, &[entry(account, at, &[item])]);
        let meta = meta.clone();
        if sending.len() >= 16 {
            sending.join_next().await.unwrap().unwrap();
        }
        sending.spawn(async move {
            meta.deliver(path, &body).await;
            if n % 10 == 0 {
                meta.deliver(path, &body).await;
            }
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_webhook_is_there_once_whoever_was_killed() {
    let mut lab = Lab::with_roles_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.add_account("messenger", "facebook", PAGE, "no-graph-needed", &[]).await;
    let sender = tokio::spawn(deliver_all(lab.meta()));
    let mut kills = 0;
    while !sender.is_finished() {
        for role in Role::ALL {
            tokio::time::sleep(Duration::from_millis(300)).await;
            lab.kill9(role).await;
            lab.run(role).await;
            kills += 1;
        }
    }
    sender.await.unwrap();
    assert!(kills >= 8, "only {kills} kills happened while webhooks came in");
    lab.all_ready().await;
    eventually("everything is in the read model", Duration::from_secs(90), async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from inbox.messages")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        if rows == i64::try_from(WEBHOOKS).unwrap() { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    lab.settled().await;
    let rows: Vec<(String, String)> = sqlx::query_as("select message_id, text from inbox.messages")
        .fetch_all(lab.pool())
        .await
        .unwrap();
    let texts: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!((rows.len(), texts.len()), (WEBHOOKS, WEBHOOKS));
    for n in 0..WEBHOOKS {
        assert_eq!(
            texts.get(&format!("mid.{n}")).map(String::as_str),
            Some(format!("text {n}").as_str())
        );
    }
    let unread: i64 =
        sqlx::query_scalar("select sum(unread_count)::bigint from inbox.conversations")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(unread, i64::try_from(WEBHOOKS).unwrap());
    // Order: within each conversation the events stand in the order of their raw webhooks.
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for event in lab.events().await {
        if event["type"] == "hookline.message.received.v1" {
            let conversation = event["subject"].as_str().unwrap().to_owned();
            let raw = event["data"]["origin"]["raw_stream_sequence"].as_u64().unwrap();
            let before = last.insert(conversation.clone(), raw).unwrap_or(0);
            assert!(before <= raw, "{conversation}: {before} then {raw}");
        }
    }
}
