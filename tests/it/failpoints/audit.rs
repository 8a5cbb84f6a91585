//! What must be true when all is over: every command has ended and is published, and nobody saw anything twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tests::client::Api;
use tests::{Lab, eventually};

use super::talks::{Answered, ENDS_WITHIN, ended};

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) deaths: usize,
    /// Failpoints that were not reached so often.
    pub(super) survived: usize,
    pub(super) commands: usize,
    pub(super) messages: usize,
    pub(super) unknown: usize,
    pub(super) longest: Duration,
}

/// Every command has ended, with an outcome in the stream; what was none is a dead letter, once.
pub(super) async fn everything_is_published(lab: &Lab, rounds: usize) {
    eventually("every command has ended and is published", ENDS_WITHIN, async || {
        let open: Vec<(String, String)> = sqlx::query_as(
            "select identity, state from worker.commands where state = 'open' or not outcome_published",
        )
        .fetch_all(lab.pool())
        .await
        .map_err(|error| error.to_string())?;
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
    })
    .await;
    let outcomes: BTreeSet<String> = lab
        .events()
        .await
        .iter()
        .filter(|event| event["type"].as_str().unwrap().starts_with("hookline.reply."))
        .map(|event| event["data"]["reply_id"].as_str().unwrap().to_owned())
        .collect();
    let commands = lab.messages("INBOX_COMMANDS").await;
    let ids: BTreeSet<String> = commands
        .iter()
        .filter_map(|message| {
            serde_json::from_slice::<Value>(&message.payload).unwrap()["id"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(outcomes, ids, "commands and outcomes differ");
    assert_eq!(lab.messages("INBOX_DEAD").await.len(), rounds, "dead letters");
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the person saw is what was wished and what the API says: each message once, in order, under its own id.
pub(super) async fn check(api: &Api, answered: &Answered, tally: &mut Tally) {
    let received = answered.talk.person.received();
    let by_mid: BTreeMap<&str, &str> =
        received.iter().map(|m| (m.mid.as_str(), m.text.as_deref().unwrap_or_default())).collect();
    let what = || {
        let seen: Vec<_> = received.iter().map(|m| (&m.mid, &m.text)).collect();
        format!("{}: saw {seen:?}; replies {:?}", answered.talk.person.name(), answered.replies)
    };
    let mut named = Vec::new();
    let mut unknown = 0;
    for (reply, (_, text)) in answered.replies.iter().zip(&answered.talk.wishes) {
        tally.commands += 1;
        // As it is now: a late echo may have shown more than was known at its first end.
        let reply = ended(api, reply["reply_id"].as_str().unwrap()).await;
        let mids: Vec<String> = reply["parts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|part| part["message_id"].as_str().map(str::to_owned))
            .collect();
        match reply["status"].as_str().unwrap() {
            "sent" => {
                let said: Vec<&str> = mids
                    .iter()
                    .map(|mid| *by_mid.get(mid.as_str()).unwrap_or_else(|| panic!("{}", what())))
                    .collect();
                assert_eq!(squeeze(&said.join(" ")), squeeze(text), "{}", what());
            }
            // Unknown after three attempts. That is honest, and rare.
            "unknown" => {
                assert!(reply["attempts"].as_i64() >= Some(3), "{reply}: {}", what());
                unknown += 1;
            }
            other => panic!("{other}: {}", what()),
        }
        named.extend(mids);
    }
    let distinct: BTreeSet<&String> = named.iter().collect();
    assert_eq!(distinct.len(), named.len(), "one message for two: {}", what());
    assert!(
        received.len() >= named.len() && received.len() <= named.len() + unknown,
        "lost or double: {}",
        what()
    );
    if unknown == 0 {
        let order: Vec<&str> = received.iter().map(|m| m.mid.as_str()).collect();
        assert_eq!(order, named, "order: {}", what());
        let shown = api.messages(&answered.talk.conversation).await;
        let shown = shown.iter().filter(|m| m["direction"] == "outbound").count();
        assert_eq!(shown, received.len(), "rows: {}", what());
    }
    tally.messages += received.len();
    tally.unknown += unknown;
}
