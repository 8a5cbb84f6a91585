//! Bodies nobody should send: each is published and kept, none stops a shard, and what comes behind is not held up.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::body::{IG, PAGE, body, entry, instagram, now, text};
use tests::eventually;

use super::{ANN, BOB, done, of_kind, plain, post, rows};

/// Bodies that break a careless reader, each with a name.
fn bodies(at: i64) -> Vec<(&'static str, String)> {
    let items = |items: &str| {
        format!(
            r#"{{"object":"instagram","entry":[{{"id":"{IG}","time":{at},"messaging":[{items}]}}]}}"#
        )
    };
    let from = |person: &str, mid: &str, more: &str| {
        format!(
            r#"{{"sender":{{"id":"{person}"}},"recipient":{{"id":"{IG}"}},"timestamp":{at},"message":{{"mid":"{mid}"{more}}}}}"#
        )
    };
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    vec![
        ("empty", String::new()),
        ("not json", format!(r#"{{"object":"instagram","entry":[{{"id":"{IG}","#)),
        ("a number", "17".to_owned()),
        ("deep", format!(r#"{{"object":"instagram","entry":{}}}"#, deep(100_000))),
        ("deep item", items(&deep(100_000))),
        (
            "deep payload",
            items(&from(
                ANN,
                "mid.deep",
                &format!(
                    r#","text":"deep","attachments":[{{"type":"x","payload":{{"a":{}}}}}]"#,
                    deep(50_000)
                ),
            )),
        ),
        (
            "huge sender",
            items(&from(&"9".repeat(2_000), "mid.huge.sender", r#","text":"from nobody""#)),
        ),
        ("long sender", items(&from(&"9".repeat(1_000), "mid.long.sender", r#","text":"long""#))),
        ("huge mid", items(&from(ANN, &"m".repeat(3_000), r#","text":"no mid""#))),
        ("long mid", items(&from(ANN, &"m".repeat(1_000), r#","text":"long mid""#))),
        ("nuls", items(&from(ANN, "mid.nul\\u0000", r#","text":"nul \u0000""#))),
        ("half pairs", items(&from(ANN, "mid.half\\ud83d", r#","text":"half \ud83d","\udc00":1"#))),
        (
            "half pair as a name",
            format!(
                r#"{{"\ud83d":1,"object":"instagram","entry":[{{"\ud83d":[1],"id":"{IG}","time":{at},"messaging":[{}]}}]}}"#,
                from(ANN, "mid.name", r#","text":"named""#)
            ),
        ),
        (
            "names twice",
            items(&from(ANN, "mid.first", r#","mid":"mid.twice","text":"once","text":"twice""#)),
        ),
        (
            "numbers",
            items(
                r#"{"sender":{"id":1e400},"recipient":{"id":-0},"timestamp":99999999999999999999,"message":{"mid":12345678901234567890123}}"#,
            ),
        ),
        (
            "times",
            items(&format!(
                r#"{{"sender":{{"id":"{ANN}"}},"recipient":{{"id":"{IG}"}},"timestamp":253402300799999,"message":{{"mid":"mid.9999","text":"far away"}}}}"#
            )),
        ),
        (
            "null beside",
            items(&format!(
                r#"{{"sender":{{"id":"{ANN}"}},"recipient":{{"id":"{IG}"}},"timestamp":{at},"message":null,"read":{{"mid":"mid.deep"}}}}"#
            )),
        ),
        (
            "wrong types",
            items(
                r#"null,1,"x",[],{},{"message":[]},{"message":{"mid":{}}},{"sender":[],"recipient":5,"timestamp":{},"message":{"mid":"mid.types","text":{},"attachments":7}}"#,
            ),
        ),
        ("a flood", items(&vec!["{}"; 200_000].join(","))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_stops_a_shard() {
    let lab = plain().await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    let at = now();
    let bodies = bodies(at);
    let mut known = 0;
    for (n, (name, body)) in bodies.iter().enumerate() {
        post(&lab, body.as_bytes()).await;
        post(&lab, &instagram(text(IG, BOB, &format!("mid.after.{n}"), at + 1, name))).await;
        known += 1;
    }
    eventually("what comes behind is published", Duration::from_secs(60), async || {
        let after = rows(&lab).await.into_iter().filter(|(contact, ..)| contact == BOB).count();
        if after == known { Ok(()) } else { Err(format!("{after} of {known}")) }
    })
    .await;
    let events = done(&lab).await;
    let texts: Vec<String> =
        rows(&lab).await.into_iter().filter(|row| row.0 == ANN).filter_map(|row| row.2).collect();
    for text in ["deep", "long mid", "nul \u{fffd}", "half \u{fffd}", "named", "twice", "far away"]
    {
        assert!(texts.iter().any(|seen| seen == text), "`{text}` is not in {texts:?}");
    }
    assert_eq!(of_kind(&events, "message.read").len(), 1);
    let reasons: Vec<Value> = of_kind(&events, "webhook.unrecognized")
        .iter()
        .map(|event| event["data"]["reason"].clone())
        .collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "not_json").count(), 2, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "too_many_items").count(), 1);
    let parked: i64 = sqlx::query_scalar("select count(*) from worker.parked")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!((parked, lab.last_sequence("INBOX_DEAD").await), (0, 0), "never a dead letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_updates_in_one_body_keep_their_order() {
    let lab = plain().await;
    lab.add_account("messenger", "facebook", PAGE, "t", &[]).await;
    let at = now() - 100_000;
    let person = |n: i64| format!("73000000000{:05}", n % 10);
    let filler = "x".repeat(3_850);
    let items: Vec<Value> = (0..1_000_i64)
        .map(|n| text(PAGE, &person(n), &format!("m_{n:04}"), at + n, &format!("{n:04} {filler}")))
        .collect();
    let bytes = body("page", &[entry(PAGE, at, &items)]);
    assert!((3_900_000..4 << 20).contains(&bytes.len()), "{}", bytes.len());
    let began = Instant::now();
    post(&lab, &bytes).await;
    let received = eventually("a thousand messages", Duration::from_secs(60), async || {
        let received = of_kind(&lab.events().await, "message.received");
        if received.len() >= 1_000 { Ok(received) } else { Err(received.len().to_string()) }
    })
    .await;
    eprintln!("1000 updates, {} bytes: published after {:?}", bytes.len(), began.elapsed());
    let mids: Vec<String> = received
        .iter()
        .map(|event| event["data"]["message_id"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (0..1_000).map(|n| format!("m_{n:04}")).collect();
    assert_eq!(mids, expected);
    done(&lab).await;
    assert_eq!(rows(&lab).await.len(), 1_000);
    let conversations = lab.api().conversations().await;
    assert_eq!(conversations.len(), 10);
    assert!(conversations.iter().all(|conversation| conversation["unread_count"] == 100));
    // The same again says nothing new.
    let events = lab.events().await.len();
    post(&lab, &body("page", &[entry(PAGE, at + 1, &items)])).await;
    lab.settled().await;
    assert_eq!(lab.events().await.len(), events);
}

/// What grows beyond what the broker takes when it is written as an event is parked alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_for_the_broker_holds_up_its_conversation_only() {
    let lab = plain().await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    let at = now();
    let mut numbers = String::from("1e15");
    for _ in 0..700_000 {
        write!(numbers, ",1e15").unwrap();
    }
    let large = format!(
        r#"{{"object":"instagram","entry":[{{"id":"{IG}","time":{at},"messaging":[
            {{"sender":{{"id":"{ANN}"}},"recipient":{{"id":"{IG}"}},"timestamp":{at},"message":{{"mid":"mid.large","attachments":[{{"type":"x","payload":{{"n":[{numbers}]}}}}]}}}},
            {}]}}]}}"#,
        json!({"sender": {"id": BOB}, "recipient": {"id": IG}, "timestamp": at, "message": {"mid": "mid.beside", "text": "beside"}})
    );
    post(&lab, large.as_bytes()).await;
    post(&lab, &instagram(text(IG, BOB, "mid.after", at + 1, "after"))).await;
    let received =
        eventually("what is beside and behind is published", Duration::from_secs(60), async || {
            let received = of_kind(&lab.events().await, "message.received");
            if received.len() == 2 { Ok(received) } else { Err(format!("{received:?}")) }
        })
        .await;
    let mids: Vec<_> = received.iter().map(|event| event["data"]["message_id"].clone()).collect();
    assert_eq!(mids, ["mid.beside", "mid.after"]);
    let parked: Vec<(String, String)> = sqlx::query_as("select lane, cause from worker.parked")
        .fetch_all(lab.pool())
        .await
        .unwrap();
    assert_eq!(parked, [(format!("instagram/{IG}/{ANN}"), "too_large".to_owned())]);
}
