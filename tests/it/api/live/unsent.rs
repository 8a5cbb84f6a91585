//! What was unsent does not come back: a client that resumes reads that there was a message, not what it said.

use serde_json::{Value, json};
use simulator::AccountSpec;
use tests::body::IG;
use tests::{LabOptions, Role};

use super::super::lab_apart;
use super::{Listener, Sent};

const WORDS: &str = "zq-regretted";

fn of_kind<'a>(all: &'a [Sent], kind: &str) -> Vec<&'a Sent> {
    all.iter().filter(|sent| sent.kind == kind && sent.data.contains("content_missing")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_were_unsent_do_not_come_back() {
    let mut lab = lab_apart(LabOptions::default()).await;
    let api = lab.api();
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    let ann = shop.person("Ann Berg");
    ann.says("kept").accepted().await.unwrap();
    lab.settled().await;
    let start = lab.last_sequence("INBOX_EVENTS").await;
    let said = ann.says(WORDS);
    said.accepted().await.unwrap();
    ann.edits(said.mid(), &format!("{WORDS} twice")).accepted().await.unwrap();
    ann.says("kept as well").accepted().await.unwrap();
    ann.unsends(said.mid()).accepted().await.unwrap();
    lab.settled().await;
    let end = lab.last_sequence("INBOX_EVENTS").await;
    for from in ["memory", "the broker"] {
        let mut listener = Listener::open(&api, "", Some(start)).await.unwrap();
        let all = listener.up_to(end).await;
        assert!(all.iter().all(|sent| !sent.data.contains(WORDS)), "from {from}: {all:?}");
        let ids: Vec<u64> = all.iter().map(|sent| sent.id.unwrap()).collect();
        assert_eq!(ids, (start + 1..=end).collect::<Vec<_>>(), "every event is there, from {from}");
        let [received] = of_kind(&all, "message.received")[..] else { panic!("{all:?}") };
        let event: Value = serde_json::from_str(&received.data).unwrap();
        assert_eq!(event["data"]["message_id"], json!(said.mid()), "{event}");
        assert_eq!(event["data"]["content_missing"], json!(true), "{event}");
        assert!(all.iter().any(|sent| sent.data.contains("kept as well")), "{all:?}");
        // One that has just started has nothing in memory.
        lab.kill9(Role::Api).await;
        lab.run(Role::Api).await;
        lab.ready(Role::Api).await;
    }
}
