//! Every fixture through the whole pipeline: what is published validates, what is shown is what its README says.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Kind;
use serde_json::Value;
use tests::{Lab, eventually, fixture};

const ACCOUNT_A: &str = "17841400000000101";
const ACCOUNT_B: &str = "17841400000000202";
const PAGE_P: &str = "103000000000301";

/// All webhook fixtures: path below `fixtures/meta`, in the order of their names.
fn webhooks() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/meta");
    let mut paths = Vec::new();
    for folder in ["instagram", "messenger", "odd"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name != "odd-signature-vectors.json" {
                paths.push(format!("{folder}/{name}"));
            }
        }
    }
    paths.sort();
    paths
}

async fn deliver_all(lab: &Lab, order: &[String]) {
    for path in order {
        let door = if path.starts_with("messenger") { "/webhooks/facebook" } else { "/webhook" };
        assert_eq!(lab.meta().post(door, &fixture(path)).await, 200, "{path}");
    }
}

async fn lab() -> Lab {
    let mut lab = Lab::start().await;
    lab.set("TWIN_GRACE", "1s");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", ACCOUNT_A, "t", &["--alias", "25500000000000101"])
        .await;
    lab.add_account("instagram", "instagram", ACCOUNT_B, "t", &[]).await;
    lab.add_account("messenger", "facebook", PAGE_P, "t", &[]).await;
    lab
}

type Row = (String, String, Option<String>, bool);

async fn rows(lab: &Lab) -> BTreeMap<String, Row> {
    let rows: Vec<(String, String, String, Option<String>, bool)> = sqlx::query_as(
        "select message_id, contact_id, direction, text, deleted_at is not null from inbox.messages",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    rows.into_iter()
        .map(|(mid, contact, direction, text, deleted)| (mid, (contact, direction, text, deleted)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_is_accepted_published_by_its_schema_and_shown() {
    let lab = lab().await;
    let mut order = webhooks();
    assert_eq!(order.len(), 27 + 23 + 17);
    deliver_all(&lab, &order).await;
    lab.settled().await;

    let validators: BTreeMap<String, jsonschema::Validator> = Kind::ALL
        .iter()
        .map(|kind| {
            let schema = tests::event_schema(*kind);
            (schemas::Event::type_name(*kind), jsonschema::validator_for(&schema).unwrap())
        })
        .collect();
    let events = lab.events().await;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for event in &events {
        let kind = event["type"].as_str().unwrap();
        *kinds.entry(kind.to_owned()).or_default() += 1;
        let errors: Vec<_> =
            validators[kind].iter_errors(event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}\n{event}");
    }
    let mut ids: Vec<_> = events
        .iter()
        .map(|e| (e["id"].as_str().unwrap(), &e["data"]["origin"]["revision"]))
        .collect();
    let all = ids.len();
    ids.sort_by_key(|(id, revision)| (*id, revision.as_u64()));
    ids.dedup();
    assert_eq!(ids.len(), all, "an event was published twice");
    for kind in [
        "message.received",
        "message.sent",
        "message.edited",
        "message.deleted",
        "message.reacted",
        "message.read",
        "message.delivered",
        "postback.received",
        "referral.received",
        "optin.received",
        "thread.control_changed",
        "account.policy_enforced",
        "template.status_changed",
        "comment.created",
        "comment.edited",
        "comment.deleted",
        "post.changed",
        "post.reacted",
        "mention.created",
        "story.insights",
        "contact.discovered",
        "webhook.test",
        "webhook.unrecognized",
    ] {
        assert!(kinds.contains_key(&format!("hookline.{kind}.v1")), "no {kind} in {kinds:?}");
    }
    // Secrets that came with webhooks are in no event.
    assert!(events.iter().all(|event| !event.to_string().contains("FIXTURE_TOKEN_1")));

    let first = rows(&lab).await;
    shows_what_they_say(&first);

    // Everything once more, backwards: no new event but revisions of none, and the same rows.
    order.reverse();
    deliver_all(&lab, &order).await;
    lab.settled().await;
    assert_eq!(lab.events().await.len(), events.len(), "a second delivery publishes nothing");
    assert_eq!(rows(&lab).await, first);
}

/// The rows of what the README says of the fixtures.
fn shows_what_they_say(first: &BTreeMap<String, Row>) {
    let by_text = |text: &str| {
        first.values().filter(|row| row.2.as_deref() == Some(text)).collect::<Vec<_>>()
    };
    assert_eq!(
        by_text("Hi, is the GREEN lamp still in stock?").len(),
        1,
        "the edit replaces the text"
    );
    assert!(by_text("Hi, is the blue lamp still in stock?").is_empty());
    assert_eq!(by_text("Hello, do you ship to Sweden?").len(), 1);
    assert!(by_text("Yes please").is_empty(), "an unsent text is gone");
    assert_eq!(
        by_text("Are you open today?").len(),
        1,
        "message, companion and sender-less hint are one message"
    );
    assert_eq!(by_text("first").len(), 1, "the duplicate mid is one message");
    assert_eq!(
        by_text("Grüße 😊 مرحبا https://example.invalid/a?b=1&c=<x>").len(),
        1,
        "escapes are decoded once"
    );
    assert_eq!(by_text("ids are JSON numbers above 2^53")[0].0, "73000000000001119");
    assert_eq!(by_text("Yes, three left. Shall I put one aside?")[0].1, "outbound");
    assert!(
        first.values().all(|row| row.0 != "12334" && row.2.as_deref() != Some("random_text")),
        "tests make no contact"
    );
}

/// The order in which bodies arrive decides nothing that is shown.
#[tokio::test(flavor = "multi_thread")]
async fn fixtures_in_any_order_end_in_the_same_rows() {
    let mut shown: Option<(BTreeMap<String, Row>, Vec<Value>)> = None;
    for seed in 0..2_u64 {
        let lab = lab().await;
        let mut order = webhooks();
        if seed > 0 {
            use rand::SeedableRng;
            use rand::seq::SliceRandom;
            order.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
        }
        deliver_all(&lab, &order).await;
        lab.settled().await;
        let conversations: Vec<Value> = lab
            .api()
            .conversations()
            .await
            .into_iter()
            .map(|mut conversation| {
                // Whether Graph was asked about a profile is not part of this.
                conversation["contact"].as_object_mut().unwrap().remove("avatar_url");
                conversation
            })
            .collect();
        let seen = (rows(&lab).await, conversations);
        match &shown {
            None => shown = Some(seen),
            Some(first) => {
                assert_eq!(first.0, seen.0, "order {order:?}");
                assert_eq!(first.1, seen.1, "order {order:?}");
            }
        }
    }
}

/// A webhook of an account nobody added is kept and published, without a conversation.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_makes_no_conversation() {
    let lab = Lab::with_all_roles().await;
    assert_eq!(lab.meta().post("/webhook", &fixture("instagram/ig-message-text.json")).await, 200);
    eventually("it is published", Duration::from_secs(10), async || {
        let events = lab.events().await;
        match events.as_slice() {
            [event]
                if event["type"] == "hookline.webhook.unrecognized.v1"
                    && event["data"]["reason"] == "unknown_account" =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    lab.settled().await;
    assert!(lab.api().conversations().await.is_empty());
}
