//! JSON Schemas and the AsyncAPI document are generated from the types, here and not in the binary. The stored files are what the types
//! say; `BLESS=1` (`make bless`) writes them.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemas::facts::{Message, Optin, SenderUnresolved, TriedMethod};
use schemas::{AccountId, Channel, Event, EventId, Fact, Kind, Origin, Timestamp, Via};

mod asyncapi;
#[path = "../shared/contains.rs"]
mod contains;
mod goldens;
mod json_schema;

/// Every generated file: path below `schemas/` → content.
fn files() -> BTreeMap<String, String> {
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let mut files = BTreeMap::new();
    for kind in Kind::ALL {
        files.insert(format!("json/{kind}.v1.json"), pretty(&json_schema::event_schema(*kind)));
        for size in goldens::Size::ALL {
            let path = format!("goldens/events/{kind}.{}.json", size.as_str());
            files.insert(path, pretty(&goldens::event(*kind, size)));
        }
    }
    files.insert("json/command.v1.json".to_owned(), pretty(&json_schema::command_schema()));
    files.insert("json/events.v1.json".to_owned(), pretty(&json_schema::events_bundle()));
    files.insert("json/commands.v1.json".to_owned(), pretty(&json_schema::commands_bundle()));
    files.insert("asyncapi.yaml".to_owned(), asyncapi::document());
    files
}

#[test]
fn generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files();
    if std::env::var_os("BLESS").is_some() {
        for (path, content) in &files {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), content).unwrap();
        }
    }
    for (path, content) in &files {
        let stored = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(&stored == content, "schemas/{path} is not what the types say: run `make bless`");
    }
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        entries.map(|entry| format!("{folder}/{}", name(entry).to_string_lossy())).collect()
    };
    let stored: BTreeSet<String> = ["json", "goldens/events"].into_iter().flat_map(names).collect();
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
        ("/data/text", serde_json::Value::Null),
        ("/data/channel", serde_json::json!(1)),
        ("/type", serde_json::json!("hookline.message.sent.v1")),
        ("/specversion", serde_json::json!("0.3")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!message.is_valid(&bad), "{pointer}");
    }
    // What a later release says: another channel, another source, a field more.
    let mut later = good.clone();
    later["data"]["channel"] = "telegram".into();
    later["data"]["origin"]["via"] = "magic".into();
    later["source"] = "/telegram/1".into();
    later["data"]["more"] = 1.into();
    assert!(message.is_valid(&later));
    let bundle = jsonschema::validator_for(&json_schema::events_bundle()).unwrap();
    assert!(bundle.is_valid(&good) && bundle.is_valid(&later));
    later["type"] = "hookline.message.sung.v1".into();
    assert!(!bundle.is_valid(&later), "a kind that it does not name");
    let unresolved = event(Fact::SenderUnresolved(SenderUnresolved {
        message_id: "m".into(),
        tried: vec![TriedMethod { method: "twin".into(), outcome: "nothing".into(), code: None }],
        edit_number: None,
    }));
    assert!(
        validator(Kind::SenderUnresolved).is_valid(&unresolved) && bundle.is_valid(&unresolved)
    );
    let optin = event(Fact::OptinReceived(Optin::default()));
    assert!(validator(Kind::OptinReceived).is_valid(&optin));
}

#[test]
fn the_smallest_and_the_fullest_event_of_each_kind_are_what_its_schema_says() {
    let bundle = jsonschema::options()
        .should_validate_formats(true)
        .build(&json_schema::events_bundle())
        .unwrap();
    for kind in Kind::ALL {
        let one = jsonschema::options()
            .should_validate_formats(true)
            .build(&json_schema::event_schema(*kind))
            .unwrap();
        let [smallest, fullest] = goldens::Size::ALL.map(|size| goldens::event(*kind, size));
        for golden in [&smallest, &fullest] {
            assert!(one.is_valid(golden) && bundle.is_valid(golden), "{kind}: {golden}");
            let read: Event = serde_json::from_value(golden.clone()).unwrap();
            assert_eq!(&serde_json::to_value(read).unwrap(), golden, "{kind}");
        }
        // Nothing of the smallest may be missing, nothing of the fullest is a surprise.
        let fields = |event: &serde_json::Value| event["data"].as_object().unwrap().len();
        assert!(fields(&smallest) < fields(&fullest), "{kind}");
        for name in fullest["data"].as_object().unwrap().keys() {
            let schema = json_schema::event_schema(*kind);
            let data = &schema["properties"]["data"];
            let required = data["required"].as_array().unwrap().contains(&name.as_str().into());
            let mut less = smallest.clone();
            if less["data"].as_object_mut().unwrap().remove(name).is_some() {
                assert_eq!(one.is_valid(&less), !required, "{kind} without {name}");
            }
        }
    }
}

/// Everything of a schema, with the names of its keywords.
fn walk(value: &serde_json::Value, see: &mut impl FnMut(&str, &serde_json::Value)) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                see(name, value);
                walk(value, see);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        _ => {}
    }
}

#[test]
fn schemas_of_events_close_no_list_of_words_and_allow_no_null() {
    let mut all: Vec<serde_json::Value> =
        Kind::ALL.iter().map(|kind| json_schema::event_schema(*kind)).collect();
    let bundle = json_schema::events_bundle();
    assert_eq!(bundle["oneOf"].as_array().unwrap().len(), Kind::ALL.len());
    all.push(bundle);
    for schema in all {
        let id = schema["$id"].clone();
        walk(&schema, &mut |name, value| {
            assert!(name != "enum" && name != "pattern", "{id}: {name} {value}");
            assert!(name != "oneOf" || value[0].get("const").is_none(), "{id}: {value}");
            let null =
                value == "null" || value.as_array().is_some_and(|all| all.contains(&"null".into()));
            assert!(!(name == "type" && null), "{id}: {value}");
            assert!(name != "format" || !value.as_str().unwrap_or_default().starts_with("uint"));
        });
    }
}

#[test]
fn the_bundle_of_commands_takes_each_and_refuses_what_it_lacks() {
    let bundle = jsonschema::validator_for(&json_schema::commands_bundle()).unwrap();
    let command = |name: &str, data: serde_json::Value| {
        serde_json::json!({
            "id": "r1", "channel": "instagram", "account_id": "1", "contact_id": "5200000000000011", "command": name,
            "requested_by": {"kind": "person", "name": "anna"}, "requested_at": "2026-11-21T10:00:00.000Z", "data": data
        })
    };
    assert!(bundle.is_valid(&command("reply", serde_json::json!({"text": "hi"}))));
    assert!(bundle.is_valid(&command("sync", serde_json::json!({}))));
    assert!(!bundle.is_valid(&command("comment_hide", serde_json::json!({}))));
    assert!(!bundle.is_valid(&command("sing", serde_json::json!({}))));
}
