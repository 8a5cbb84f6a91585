//! `hookline replay`: only what differs, whoever dies; and nothing is ever sent by it, with each gate of the firewall taken away in turn.

mod firewall;
mod jobs;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, body, entry, text};
use tests::{Lab, eventually};
use tokio::process::Child;

/// Items in one webhook.
const ITEMS: usize = 10;

/// Bodies of `count` texts by `people`, sent from `from` on, a millisecond apart; ids begin with `prefix`.
fn bodies(prefix: &str, people: &[String], count: usize, from: i64) -> Vec<Vec<u8>> {
    let items: Vec<Value> = (0..count)
        .map(|n| {
            let at = from + i64::try_from(n).unwrap();
            text(IG, &people[n % people.len()], &format!("{prefix}.{n}"), at, &format!("text {n}"))
        })
        .collect();
    items.chunks(ITEMS).map(|items| body("instagram", &[entry(IG, from, items)])).collect()
}

async fn deliver(lab: &Lab, bodies: &[Vec<u8>]) {
    use futures::StreamExt;
    let meta = lab.meta();
    let posts = bodies.iter().map(|body| {
        let meta = meta.clone();
        async move { meta.deliver("/webhooks/instagram", body).await }
    });
    futures::stream::iter(posts).buffer_unordered(16).collect::<Vec<()>>().await;
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("5200000002{n:06}")).collect()
}

/// `hookline replay … --output json`, which must end with `code`.
async fn replay(lab: &Lab, words: &[&str], variables: &[(&str, &str)], code: i32) -> Value {
    let mut arguments = vec!["replay", "--output", "json"];
    arguments.extend_from_slice(words);
    let (is, out, err) = lab.hookline_with(&arguments, variables).await;
    assert_eq!(is, code, "{out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

/// Starts it in the background.
fn start(lab: &Lab, words: &[&str], variables: &[(&str, &str)]) -> Child {
    lab.command(&["replay", "--output", "json"])
        .args(words)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sums of one verdict over all kinds.
fn sum(numbers: &Value, verdict: &str) -> u64 {
    let kinds = numbers["kinds"].as_object().unwrap();
    kinds.values().map(|counts| counts[verdict].as_u64().unwrap()).sum()
}

fn differences(numbers: &Value) -> (u64, u64, u64) {
    (sum(numbers, "added"), sum(numbers, "changed"), sum(numbers, "withdrawn"))
}

/// A digest of every row that readers see.
async fn digests(lab: &Lab) -> BTreeMap<&'static str, String> {
    let mut digests = BTreeMap::new();
    for table in ["conversations", "messages", "contacts", "comments"] {
        let sql = format!(
            "select md5(coalesce(string_agg(r::text, '|' order by r::text), '')) from inbox.{table} r"
        );
        let digest: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(lab.pool()).await.unwrap();
        digests.insert(table, digest);
    }
    digests
}

async fn number(lab: &Lab, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(lab.pool()).await.unwrap()
}

async fn rows(lab: &Lab, count: usize) {
    eventually("every message has its row", Duration::from_secs(1200), async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from inbox.messages")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        tests::client::holds(rows == i64::try_from(count).unwrap(), || format!("{rows} of {count}"))
    })
    .await;
}

/// Events by id and revision that stand in the stream more than once, and how many messages carry the header of a replay.
async fn repeated(lab: &Lab) -> (Vec<String>, usize) {
    let (mut seen, mut twice, mut replayed) = (BTreeSet::new(), Vec::new(), 0);
    for message in lab.messages("INBOX_EVENTS").await {
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        let key = format!("{}.{}", event["id"], event["data"]["origin"]["revision"]);
        let headers = message.headers.clone().unwrap_or_default();
        replayed += usize::from(headers.get("Hookline-Replay").is_some());
        if !seen.insert(key.clone()) {
            twice.push(key);
        }
    }
    (twice, replayed)
}

async fn add(lab: &Lab, more: &[&str]) {
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", more).await;
}

fn is_nothing(plan: &Value) {
    assert_eq!(differences(plan), (0, 0, 0), "{plan}");
    assert_eq!(plan["waiting"], json!(0), "{plan}");
}
