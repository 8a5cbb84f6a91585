//! Reports that repeat, complete and contradict each other (`tests/fixtures/cases/`): right in every order, and when each comes twice.
//!
//! `pure` tries every order through the normaliser, the merge and the fold; here a few orders go through real processes.

mod pure;
mod right;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use schemas::Event;
use serde_json::Value;
use tests::Lab;

use right::{CASES, Outcome};

pub(crate) const IG: &str = "17841488000000101";
pub(crate) const PAGE: &str = "219000000000501";

/// The bodies of a case, in the order of their numbers.
pub(crate) fn bodies(case: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases");
    let file = |n: usize| folder.join(format!("{case}-{n}.json"));
    let all: Vec<String> = (1..).map_while(|n| std::fs::read_to_string(file(n)).ok()).collect();
    assert!(!all.is_empty(), "no files of {case}");
    all
}

/// Puts times in: `@now-60000` in ms and `@nows-60` in seconds when it is posted, `@fixed` and `@fixeds` of one moment of the case.
pub(crate) fn timed(body: &str, now: i64, fixed: i64) -> Vec<u8> {
    let mut value: Value = serde_json::from_str(body).unwrap();
    put_times(&mut value, now, fixed);
    serde_json::to_vec(&value).unwrap()
}

fn put_times(value: &mut Value, now: i64, fixed: i64) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| put_times(value, now, fixed)),
        Value::Array(items) => items.iter_mut().for_each(|value| put_times(value, now, fixed)),
        Value::String(text) => {
            let moments = [
                ("@nows", now / 1000),
                ("@now", now),
                ("@fixeds", fixed / 1000),
                ("@fixed", fixed),
            ];
            for (word, moment) in moments {
                let Some(rest) = text.strip_prefix(word) else { continue };
                *value = (moment + rest.parse::<i64>().unwrap_or(0)).into();
                return;
            }
        }
        _ => {}
    }
}

async fn lab() -> Lab {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    lab.add_account("messenger", "facebook", PAGE, "t", &[]).await;
    lab
}

async fn outcome(lab: &Lab) -> Outcome {
    let events: Vec<Event> = lab
        .events()
        .await
        .into_iter()
        .map(|event| serde_json::from_value(event).unwrap())
        .collect();
    let all = |sql: &'static str| sqlx::query_scalar(sql).fetch_all(lab.pool());
    let conversations = lab.api().conversations().await;
    let unread = |one: &Value| {
        (one["contact"]["id"].as_str().unwrap().to_owned(), one["unread_count"].as_i64().unwrap())
    };
    Outcome {
        events: right::latest(events),
        messages: all("select to_jsonb(m) from inbox.messages m").await.unwrap(),
        comments: all("select to_jsonb(c) from inbox.comments c").await.unwrap(),
        unread: conversations.iter().map(unread).collect(),
    }
}

/// Posts all cases, each with its bodies in this order, and waits for what is right.
async fn posted(order: impl Fn(&mut Vec<String>)) {
    let lab = lab().await;
    let now = tests::body::now();
    let mut posted = 0;
    for case in &CASES {
        let mut bodies = bodies(case.name);
        order(&mut bodies);
        for body in bodies {
            // White space makes it another raw webhook: the broker's window does not swallow the repetition.
            let mut body = timed(&body, now, now);
            posted += 1;
            body.resize(body.len() + posted, b' ');
            lab.meta().deliver("/webhook", &body).await;
            if posted % 2 == 0 {
                // So that some meet in one batch, and some what is stored.
                lab.settled().await;
            }
        }
    }
    lab.settled().await;
    let outcome = outcome(&lab).await;
    let wrong: Vec<String> = CASES.iter().filter_map(|case| case.wrong(&outcome)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (_, listed) = lab.api().get("/v1/comments?media_id=17991000000003800").await;
    assert_eq!(listed["total"], 2, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_their_order_each_twice() {
    posted(|bodies| {
        *bodies = bodies.iter().flat_map(|body| [body.clone(), body.clone()]).collect();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backwards_and_once_more() {
    posted(|bodies| {
        bodies.reverse();
        bodies.extend(bodies.clone());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled() {
    posted(|bodies| {
        bodies.extend(bodies.clone());
        bodies.shuffle(&mut StdRng::seed_from_u64(29));
    })
    .await;
}
