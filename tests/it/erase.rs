//! A person is erased: everywhere, and nothing of it returns. Others in the same bodies keep what they have.

mod asked;
mod disk;
mod person;
mod rights;
mod unsent;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tests::Lab;

const WITHIN: Duration = Duration::from_secs(60);

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
