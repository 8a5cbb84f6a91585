//! Dead letters in order: an event that cannot be carried out holds its own conversation and nobody else, and `redrive` releases it in order.

mod kept;
mod lanes;
mod many;
mod order;

use std::time::Duration;

use serde_json::Value;
use tests::body::{IG, entry, instagram, now, text};
use tests::{Lab, eventually};

const POISONED: &str = "5200000000000666";

fn person(n: usize) -> String {
    format!("52000000001{n:05}")
}

async fn texts(lab: &Lab, contact: &str) -> Vec<String> {
    sqlx::query_scalar("select text from inbox.messages where contact_id = $1 order by sent_at")
        .bind(contact)
        .fetch_all(lab.pool())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_holds_its_conversation_and_redrive_empties_it_in_order() {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id = 'mid.poison'").await;
    let meta = lab.meta();
    let at = now();
    let poison = instagram(text(IG, POISONED, "mid.poison", at + 1, "one"));
    assert_eq!(meta.post("/webhooks/instagram", &poison).await, 200);
    let held = async || {
        let held: i64 = sqlx::query_scalar("select count(*) from worker.parked")
            .fetch_one(lab.pool())
            .await
            .unwrap();
        held
    };
    eventually("it is parked", Duration::from_secs(10), async || match held().await {
        1 => Ok(()),
        n => Err(format!("{n} rows")),
    })
    .await;
    let mut bodies = vec![poison];
    for n in 0..40 {
        bodies.push(instagram(text(IG, &person(n), &format!("mid.{n}"), at, "fine")));
        match n {
            10 => bodies.push(instagram(text(IG, POISONED, "mid.p2", at + 2, "two"))),
            20 => bodies.push(instagram(text(IG, POISONED, "mid.p3", at + 3, "three"))),
            _ => {}
        }
    }
    for body in &bodies {
        assert_eq!(meta.post("/webhooks/instagram", body).await, 200);
    }
    eventually("everybody else is served", Duration::from_secs(20), async || {
        let rows: i64 =
            sqlx::query_scalar("select count(*) from inbox.messages where text = 'fine'")
                .fetch_one(lab.pool())
                .await
                .map_err(|error| error.to_string())?;
        if rows == 40 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    // They are served before what is parked beside them is committed.
    lab.settled().await;
    let shown = texts(&lab, POISONED).await;
    assert!(
        !shown.contains(&"two".to_owned()) && !shown.contains(&"three".to_owned()),
        "later ones wait behind: {shown:?}"
    );
    it_waits_in_order(&lab).await;
    // Delivered once more, in other bytes, the same events are parked once.
    let again = tests::body::body(
        "instagram",
        &[entry(IG, at + 9, &[text(IG, POISONED, "mid.p2", at + 2, "two")])],
    );
    let before = lab.last_sequence("META_RAW").await;
    assert_eq!(meta.post("/webhooks/instagram", &again).await, 200);
    assert_eq!(lab.last_sequence("META_RAW").await, before + 1);
    lab.settled().await;
    assert_eq!(parked(&lab).await.len(), 3);

    it_is_released_in_order(&lab, at).await;
}

/// The lane of the poisoned conversation is emptied once its cause is gone.
async fn it_is_released_in_order(lab: &Lab, at: i64) {
    // Not mended yet: the canary fails and the verb stops.
    let (code, out, _) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 1, "{out}");
    assert_eq!(parked(lab).await.len(), 3);
    lab.mend().await;
    let (code, out, err) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 0, "{out}{err}");
    eventually("the conversation is whole", Duration::from_secs(20), async || {
        let texts = texts(lab, POISONED).await;
        if texts == ["one", "two", "three"] { Ok(()) } else { Err(format!("{texts:?}")) }
    })
    .await;
    assert!(parked(lab).await.is_empty());
    let order: Vec<String> = lab
        .events()
        .await
        .iter()
        .filter(|event| {
            event["data"]["contact_id"] == POISONED
                && event["type"] == "hookline.message.received.v1"
        })
        .map(|event| event["data"]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["one", "two", "three"]);
    // What comes next is served at once.
    let next = instagram(text(IG, POISONED, "mid.p4", at + 4, "four"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &next).await, 200);
    eventually("the lane is free", Duration::from_secs(10), async || {
        let texts = texts(lab, POISONED).await;
        if texts.len() == 4 { Ok(()) } else { Err(format!("{texts:?}")) }
    })
    .await;
}

/// The poisoned event and those behind it, in the list and as copies without content.
async fn it_waits_in_order(lab: &Lab) {
    let rows = parked(lab).await;
    let seen: Vec<_> = rows.iter().map(|row| row["role"].as_str().unwrap()).collect();
    assert_eq!(seen, ["failed", "behind", "behind"], "{rows:?}");
    assert_eq!(rows[0]["cause"], "database_23514");
    let copies = eventually("INBOX_DEAD has copies", Duration::from_secs(10), async || {
        let copies = lab.messages("INBOX_DEAD").await;
        if copies.len() >= 3 { Ok(copies) } else { Err(format!("{}", copies.len())) }
    })
    .await;
    assert!(
        copies
            .iter()
            .all(|copy| copy.subject.as_str() == format!("inbox.v1.dead.normalize.instagram.{IG}"))
    );
    assert!(
        copies.iter().all(|copy| !String::from_utf8_lossy(&copy.payload).contains("one")),
        "no content in copies"
    );
}

async fn parked(lab: &Lab) -> Vec<Value> {
    let (code, out, err) = lab.hookline(&["redrive", "list", "--output", "json"]).await;
    assert_eq!(code, 0, "{err}");
    serde_json::from_str::<Vec<Value>>(&out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_nobody_could_read_is_released_behind_its_conversation_though_inbox_dead_is_full()
 {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id = 'mid.poison'").await;
    let meta = lab.meta();
    let at = now();
    let poison = instagram(text(IG, POISONED, "mid.poison", at + 1, "one"));
    assert_eq!(meta.post("/webhooks/instagram", &poison).await, 200);
    eventually("a copy is there", Duration::from_secs(10), async || {
        match lab.last_sequence("INBOX_DEAD").await {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let js = lab.jetstream().await;
    let mut dead = js.get_stream("INBOX_DEAD").await.unwrap().cached_info().config.clone();
    dead.max_messages = 1;
    dead.discard = async_nats::jetstream::stream::DiscardPolicy::New;
    js.update_stream(dead).await.unwrap();
    let full_at = lab.last_sequence("INBOX_DEAD").await;

    let second = instagram(text(IG, POISONED, "mid.p2", at + 2, "two"));
    assert_eq!(meta.post("/webhooks/instagram", &second).await, 200);
    lab.settled().await;
    // As if a normaliser that is mended since had broken down over it.
    let raw: i64 = sqlx::query_scalar(
        "update worker.parked set lane = 'raw/' || raw_seq, role = 'failed', cause = 'panic', attempts = 1, retry_at = null,
                fingerprint = raw_seq::text, announced = false
          where role = 'behind' returning raw_seq",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    let (code, out, err) = lab.hookline(&["redrive", "run", "--cause", "panic"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let rows: Vec<(i64, bool)> = sqlx::query_as(
        "select raw_seq, lane like 'instagram/%' from worker.parked order by raw_seq",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows[1], (raw, true), "it waits behind the first now");

    lab.mend().await;
    let (code, out, err) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(lab.last_sequence("INBOX_DEAD").await, full_at, "the stream was to be full");
    let order: Vec<String> = lab
        .events()
        .await
        .iter()
        .filter(|event| event["type"] == "hookline.message.received.v1")
        .map(|event| event["data"]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["one", "two"]);
}
