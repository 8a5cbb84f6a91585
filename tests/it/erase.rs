//! A person is erased: everywhere, and nothing of it returns. Others in the same bodies keep what they have.

mod asked;
mod disk;
mod person;
mod rights;
mod unsent;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::Lab;

const WITHIN: Duration = Duration::from_secs(60);

/// The files below a folder in which one of these words is.
fn files_with(folder: &Path, words: &[&str], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_with(&path, words, found);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        for word in words {
            let word = word.as_bytes();
            if bytes.windows(word.len()).any(|window| window == word) {
                found.push(format!("{} has {}", path.display(), String::from_utf8_lossy(word)));
            }
        }
    }
}

/// All rows of the schemas of the product as text, by table; without those that say when and by whom work is done.
async fn rows(lab: &Lab) -> BTreeMap<String, Vec<String>> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select schemaname::text, tablename::text from pg_tables
          where (schemaname in ('worker', 'api', 'ops') or schemaname like 'inbox%')
            and tablename not in ('leases', 'members', '_sqlx_migrations', 'graph_budget', 'account_upkeep')",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    let mut all = BTreeMap::new();
    for (schema, table) in tables {
        let sql = format!("select t::text from {schema}.{table} t order by 1");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(lab.pool()).await.unwrap();
        all.insert(format!("{schema}.{table}"), rows);
    }
    all
}

/// Where one of these words is in Postgres, as text or as bytes, or in the messages of a stream.
async fn places_of(lab: &Lab, words: &[&str]) -> Vec<String> {
    let hexed: Vec<String> = words.iter().map(hex::encode).collect();
    let has = |text: &str| {
        words.iter().any(|word| text.contains(word)) || hexed.iter().any(|hex| text.contains(hex))
    };
    let mut found = Vec::new();
    for (table, rows) in rows(lab).await {
        let rows = rows.into_iter().filter(|row| has(row));
        found.extend(rows.map(|row| format!("{table}: {row}")));
    }
    for stream in ["META_RAW", "INBOX_EVENTS", "INBOX_COMMANDS", "INBOX_DEAD", "INBOX_ATTEMPTS"] {
        for message in lab.messages(stream).await {
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            if has(&text) {
                found.push(format!("{stream}: {text}"));
            }
        }
    }
    found
}

/// What is known of everybody else: events, and rows of the read model, in their order.
async fn of_others(lab: &Lab, erased: &str) -> (Vec<String>, BTreeSet<String>) {
    let is_other = |event: &&Value| {
        event["data"]["contact_id"].as_str().is_some_and(|contact| contact != erased)
    };
    let events = lab.events().await;
    let events = events.iter().filter(is_other).map(ToString::to_string).collect();
    let rows: Vec<String> = sqlx::query_scalar(
        "select m::text from inbox.messages m where contact_id <> $1
          union all select c::text from inbox.conversations c where contact_id <> $1",
    )
    .bind(erased)
    .fetch_all(lab.pool())
    .await
    .unwrap();
    (events, rows.into_iter().collect())
}
