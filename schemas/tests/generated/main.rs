//! JSON Schemas and the AsyncAPI document are generated from the types, here and not in the binary. The stored files are what the types
//! say; `BLESS=1` (`make bless`) writes them.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemas::facts::{Message, Optin, SenderUnresolved, TriedMethod};
use schemas::{AccountId, Channel, Event, EventId, Fact, Kind, Origin, Timestamp, Via};

mod asyncapi;
mod json_schema;

/// Every generated file: path below `schemas/` → content.
fn files() -> BTreeMap<String, String> {
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let mut files = BTreeMap::new();
    for kind in Kind::ALL {
        files.insert(format!("json/{kind}.v1.json"), pretty(&json_schema::event_schema(*kind)));
    }
    files.insert("json/command.v1.json".to_owned(), pretty(&json_schema::command_schema()));
    files.insert("asyncapi.yaml".to_owned(), asyncapi::document());
    files
}

#[test]
fn generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(root.join("json")).unwrap();
        for (path, content) in &files {
            std::fs::write(root.join(path), content).unwrap();
        }
    }
    for (path, content) in &files {
        let stored = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(&stored == content, "schemas/{path} is not what the types say: run `make bless`");
    }
    let stored: BTreeSet<String> = std::fs::read_dir(root.join("json"))
        .unwrap()
        .map(|entry| format!("json/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    let left_over: Vec<_> = stored.iter().filter(|path| !files.contains_key(*path)).collect();
    assert!(left_over.is_empty(), "no type makes these files: {left_over:?}");
}

fn event(fact: Fact) -> serde_json::Value {
    let account = AccountId::from("17841400000000101");
    let id = EventId::derive(Channel::Instagram, &account, fact.kind().as_str(), &["1"]);
    let time = Timestamp::from_millis(1_795_000_200_000);
    let contact = Some("5200000000000011".into());
    serde_json::to_value(Event::new(
        id,
        time,
        Channel::Instagram,
        account,
        contact,
        Origin::of(Via::Webhook),
        fact,
    ))
    .unwrap()
}

#[test]
fn schemas_take_what_is_right_and_refuse_what_is_wrong() {
    let validator =
        |kind: Kind| jsonschema::validator_for(&json_schema::event_schema(kind)).unwrap();
    for kind in Kind::ALL {
        let _ = validator(*kind);
    }
    let good = event(Fact::MessageReceived(Message {
        message_id: "m".into(),
        text: Some("a".into()),
        ..Message::default()
    }));
    let message = validator(Kind::MessageReceived);
    assert!(
        message.is_valid(&good),
        "{:?}",
        message.iter_errors(&good).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    for (pointer, wrong) in [
        ("/data/message_id", serde_json::json!(7)),
        ("/data/channel", serde_json::json!("telegram")),
        ("/data/origin/via", serde_json::json!("magic")),
        ("/type", serde_json::json!("hookline.message.sent.v1")),
        ("/specversion", serde_json::json!("0.3")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!message.is_valid(&bad), "{pointer}");
    }
    let unresolved = event(Fact::SenderUnresolved(SenderUnresolved {
        message_id: "m".into(),
        tried: vec![TriedMethod { method: "twin".into(), outcome: "nothing".into(), code: None }],
        edit_number: None,
    }));
    assert!(validator(Kind::SenderUnresolved).is_valid(&unresolved));
    let optin = event(Fact::OptinReceived(Optin::default()));
    assert!(validator(Kind::OptinReceived).is_valid(&optin));
}
