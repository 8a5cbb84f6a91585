use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{Envelope, Telling};

use crate::stage::{Arrived, INSTAGRAM, PAGE, Stage, eventually};

fn items(arrived: &[Arrived]) -> Vec<Value> {
    let entries = arrived.iter().flat_map(|one| one.body["entry"].as_array().cloned());
    entries.flatten().flat_map(|entry| entry["messaging"].as_array().cloned()).flatten().collect()
}

#[tokio::test]
async fn a_text_arrives_signed_and_addressed() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    let act = ann.says("Grüße 😊 https://x.example/a");
    act.accepted().await.expect("accepted");
    let arrived = stage.arrived_exactly(1).await;
    assert_eq!(
        (arrived[0].path.as_str(), arrived[0].signed_by),
        ("instagram", Some("instagram-secret"))
    );
    assert!(arrived[0].bytes.is_ascii());
    let item = &items(&arrived)[0];
    assert_eq!(arrived[0].body["entry"][0]["id"], INSTAGRAM);
    assert_eq!(item["sender"]["id"], ann.id());
    assert_eq!(item["message"], json!({"mid": act.mid(), "text": "Grüße 😊 https://x.example/a"}));
    let opened = simulator::InstagramMid::decode(act.mid()).expect("a structured mid");
    assert_eq!(Some(opened.created_us() / 1000), item["timestamp"].as_u64());
    assert_eq!(opened.conversation_id(), ann.conversation_id());

    stage.page.person("Jonas").says("hej").accepted().await.expect("accepted");
    let second = &stage.arrived_exactly(2).await[1];
    assert_eq!((second.path.as_str(), second.signed_by), ("facebook", Some("facebook-secret")));
    assert_eq!(
        (&second.body["object"], &second.body["entry"][0]["id"]),
        (&json!("page"), &json!(PAGE))
    );
}

#[tokio::test]
async fn a_refused_delivery_is_repeated_byte_for_byte_and_holds_its_conversation() {
    let stage = Stage::start().await;
    stage.door_answers(&[503, 500]);
    let ann = stage.shop.person("Ann Berg");
    let first = ann.says("first");
    let second = ann.says("second");
    second.accepted().await.expect("accepted");
    let arrived = stage.arrived_exactly(4).await;
    let statuses: Vec<u16> = arrived.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [503, 500, 200, 200]);
    assert_eq!(arrived[0].bytes, arrived[2].bytes, "retries are the same bytes");
    assert_eq!(items(&arrived)[3]["message"]["mid"], second.mid());
    let seen: Vec<_> = first.attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!(seen, [Some(503), Some(500), Some(200)]);
}

#[tokio::test]
async fn other_conversations_do_not_wait() {
    let stage = Stage::start().await;
    stage
        .meta
        .set_policy(|policy| policy.retry_delays = vec![Duration::from_secs(60)])
        .expect("valid");
    stage.door_answers(&[503]);
    let stuck = stage.shop.person("Ann Berg").says("stuck");
    eventually("the refusal", || !stuck.attempts().is_empty()).await;
    stage.shop.person("Jonas").says("free").accepted().await.expect("accepted");
    assert!(stuck.accepted_within(Duration::from_millis(50)).await.is_err());
}

#[tokio::test]
async fn what_is_never_accepted_is_given_up() {
    let stage = Stage::start().await;
    stage.meta.set_policy(|policy| policy.retry_for = Duration::from_millis(200)).expect("valid");
    stage.door_answers(&[503; 50]);
    let error = stage.shop.person("Ann Berg").says("x").accepted().await.expect_err("given up");
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn redelivery_and_other_batches_carry_the_same_facts() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    let (one, two) = (ann.says("one"), ann.says("two"));
    two.accepted().await.expect("accepted");
    assert_eq!(one.redeliver(2).await, [Some(200), Some(200)]);
    assert_eq!(stage.meta.deliver_together(&[&one, &two]).await, [Some(200)]);
    assert_eq!(one.deliver_apart().await, [Some(200)]);
    let arrived = stage.arrived_exactly(6).await;
    assert_eq!(arrived[0].bytes, arrived[2].bytes);
    let together = &arrived[4].body["entry"];
    assert_eq!(together[0]["messaging"].as_array().map(Vec::len), Some(2), "{together}");
}

#[tokio::test]
async fn every_way_to_tell_of_a_message_in_both_envelopes() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    let lone = ann.senderless().says("lone");
    lone.accepted().await.expect("accepted");
    let mut reported = items(&stage.arrived_exactly(1).await);
    let hint = reported.remove(0);
    assert_eq!(hint["message_edit"], json!({"mid": lone.mid(), "num_edit": 0}));
    assert!(hint.get("sender").is_none() && hint.get("recipient").is_none());

    let pair = |first, together| Telling::Companion { sender: true, first, together };
    ann.reported(pair(true, false)).says("before").accepted().await.expect("accepted");
    ann.reported(pair(false, true)).says("together").accepted().await.expect("accepted");
    let arrived = stage.arrived_exactly(4).await;
    let kinds: Vec<bool> =
        items(&arrived).iter().map(|item| item.get("message").is_some()).collect();
    assert_eq!(kinds, [false, false, true, true, false]);

    let changed = ann.in_envelope(Envelope::Changes).senderless().says("changes");
    changed.accepted().await.expect("accepted");
    let entry = &stage.arrived_exactly(5).await[4].body["entry"][0];
    assert_eq!(entry["changes"][0]["field"], "message_edit");
    assert_eq!(entry["changes"][0]["value"]["message_edit"]["mid"], changed.mid());
    assert!(entry["time"].as_i64().is_some_and(|time| time < 100_000_000_000), "seconds");

    let silent = ann.reported(Telling::Silent).says("silent");
    silent.accepted().await.expect("nothing to accept");
    assert_eq!(stage.arrived_exactly(5).await.len(), 5);
    assert_eq!(ann.sees().len(), 5);
}

#[tokio::test]
async fn later_acts_name_the_message_they_are_about() {
    let stage = Stage::start().await;
    let ann = stage.page.person("Ann Berg");
    let message = ann.says("helo");
    ann.edits(&message, "hello");
    ann.edits(&message, "hello!");
    ann.reacts(&message, "🙏");
    ann.unreacts(&message);
    ann.reads(&message);
    ann.taps("Get Started", "GET_STARTED");
    ann.follows_link("flyer");
    ann.unsends(&message);
    let reported = items(&stage.arrived_exactly(9).await);
    assert_eq!(
        reported[2]["message_edit"],
        json!({"mid": message.mid(), "text": "hello!", "num_edit": 2})
    );
    assert_eq!(reported[3]["reaction"]["reaction"], "other");
    assert_eq!(reported[5]["read"]["watermark"], reported[0]["timestamp"]);
    assert_eq!(reported[6]["postback"]["payload"], "GET_STARTED");
    assert_eq!(reported[8]["message"], json!({"mid": message.mid(), "is_deleted": true}));
    assert!(ann.sees()[0].deleted);
}

#[tokio::test]
async fn comments_are_told_as_each_channel_tells_them() {
    let stage = Stage::start().await;
    let post = stage.shop.media("Autumn lamps");
    let ann = stage.shop.person("Ann Berg");
    let comment = ann.comments(&post, "How much?");
    comment.accepted().await.expect("accepted");
    let value = stage.arrived()[0].body["entry"][0]["changes"][0]["value"].clone();
    assert_eq!(value["from"], json!({"id": ann.id(), "username": "ann.berg"}));
    assert_eq!((&value["id"], &value["text"]), (&json!(comment.comment_id()), &json!("How much?")));
    assert!(value.get("timestamp").is_none(), "Instagram sends no time");

    let post = stage.page.media("We are open");
    let ben = stage.page.person("Ben");
    let comment = ben.comments(&post, "When?");
    ben.edits_comment(&comment, "When exactly?").expect("a Page reports edits");
    ben.deletes_comment(&comment).expect("a Page reports deletions");
    let arrived = stage.arrived_exactly(4).await;
    let verbs: Vec<_> = arrived[1..]
        .iter()
        .map(|one| one.body["entry"][0]["changes"][0]["value"]["verb"].clone())
        .collect();
    assert_eq!(verbs, ["add", "edited", "remove"]);
}

#[tokio::test]
async fn batches_and_duplicates_by_rate() {
    let stage = Stage::start().await;
    stage
        .meta
        .set_policy(|policy| {
            policy.batch_rate = 1.0;
            policy.duplicate_rate = 1.0;
        })
        .expect("valid");
    let (ann, ben) = (stage.shop.person("Ann Berg"), stage.shop.person("Ben"));
    let acts = [ann.says("1"), ben.says("2"), ann.says("3")];
    for act in &acts {
        act.accepted().await.expect("accepted");
    }
    let arrived = stage.arrived_exactly(2).await;
    assert_eq!(arrived[0].bytes, arrived[1].bytes, "the duplicate is identical");
    let texts: Vec<_> =
        items(&arrived[..1]).iter().map(|item| item["message"]["text"].clone()).collect();
    assert_eq!(texts, ["1", "2", "3"]);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_people() {
    let (one, two) = (Stage::start().await, Stage::start().await);
    let id = |stage: &Stage| stage.shop.person("Ann Berg").id().to_owned();
    assert_eq!(id(&one), id(&two));
    assert_ne!(id(&one), one.shop.person("Ben").id());
}

#[tokio::test]
async fn traffic_shows_the_important_things_first() {
    let stage = Stage::start().await;
    stage
        .meta
        .start_traffic(simulator::Traffic { people: 4, per_minute: 3000.0 })
        .expect("accounts are there");
    eventually("thirty webhooks", || 30 <= stage.arrived().len()).await;
    stage.meta.stop_traffic();
    let reported = items(&stage.arrived());
    assert!(reported.iter().any(|item| item["message"]["text"].is_string()));
    assert!(
        reported
            .iter()
            .any(|item| item.get("message_edit").is_some() && item.get("sender").is_none())
    );
    assert!(stage.arrived().iter().any(|one| one.body["entry"][0].get("changes").is_some()));
    assert!(stage.arrived().iter().all(|one| one.signed_by.is_some()));
}

#[tokio::test]
async fn shutdown_is_prompt_even_with_a_door_that_never_opens() {
    let stage = Stage::start().await;
    stage.door_answers(&[503; 1000]);
    stage.shop.person("Ann Berg").says("x");
    eventually("an attempt", || !stage.arrived().is_empty()).await;
    let began = Instant::now();
    stage.meta.clone().shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn the_handshake_asks_as_meta_does() {
    let stage = Stage::start().await;
    let answer = stage.meta.handshake("/webhooks/instagram", "token", "1158201444").await;
    assert_eq!(answer.expect("an answer"), (200, "1158201444".to_owned()));
    let (status, _) =
        stage.meta.handshake("/webhooks/instagram", "wrong", "1").await.expect("an answer");
    assert_eq!(status, 403);
}
