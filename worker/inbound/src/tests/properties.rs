//! What must hold for any input at all.

use proptest::prelude::*;

use super::*;

/// Single-entry, single-item bodies of all Instagram fixtures: what Meta could have batched differently.
fn pieces() -> Vec<Value> {
    let mut pieces = Vec::new();
    for name in fixtures().into_iter().filter(|name| name != "odd-top-level-array") {
        let Ok(body) = serde_json::from_slice::<Value>(&fixture(&name)) else { continue };
        if body["object"] != "instagram"
            || name == "odd-message-edit-companion"
            || name == "odd-message-edit-senderless"
        {
            continue;
        }
        for entry in body["entry"].as_array().unwrap() {
            for key in ["messaging", "standby", "changes"] {
                for item in entry[key].as_array().into_iter().flatten() {
                    pieces.push(json!({ "id": entry["id"], "time": entry["time"], key: [item] }));
                }
            }
        }
    }
    pieces
}

fn body_of(entries: &[Value]) -> Value {
    json!({ "object": "instagram", "entry": entries })
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "object",
        "entry",
        "id",
        "time",
        "messaging",
        "standby",
        "changes",
        "field",
        "value",
        "sender",
        "recipient",
        "timestamp",
        "message",
        "mid",
        "text",
        "message_edit",
        "num_edit",
        "reaction",
        "action",
        "read",
        "delivery",
        "mids",
        "watermark",
        "postback",
        "optin",
        "referral",
        "order",
        "products",
        "attachments",
        "type",
        "payload",
        "from",
        "media",
        "instagram",
        "page",
        "comments",
        "feed",
        "item",
        "verb",
        "comment",
        "add",
        A,
        P,
        "5200000000000011",
        "0",
        "react",
        "is_echo",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 96, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

/// Something that looks like an item, with one random field replaced.
fn nearly_valid() -> impl Strategy<Value = Value> {
    (prop::sample::select(pieces()), any_json(), any::<prop::sample::Index>(), any::<bool>())
        .prop_map(|(mut entry, junk, which, deep)| {
            let mut paths = Vec::new();
            collect(&entry, String::new(), &mut paths);
            let path = which.get(&paths).clone();
            if let Some(place) = entry.pointer_mut(&path) {
                *place = if deep { json!([junk]) } else { junk };
            }
            entry
        })
}

fn collect(value: &Value, path: String, paths: &mut Vec<String>) {
    paths.push(path.clone());
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, item)| collect(item, format!("{path}/{n}"), paths)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, item)| collect(item, format!("{path}/{key}"), paths))
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(&bytes);
    }

    #[test]
    fn any_json_is_read_without_a_panic_and_loses_no_valid_neighbour(junk in any_json(), broken in nearly_valid()) {
        let _ = run_json(&junk);
        let good = json!({ "id": A, "time": 1, "messaging": [{ "sender": { "id": "5200000000000011" }, "recipient": { "id": A },
            "timestamp": 1_794_993_300_120_i64, "message": { "mid": "neighbour", "text": "hi" } }] });
        let normalized = run_json(&body_of(&[broken, good.clone(), junk]));
        let expected = ids(&run_json(&body_of(&[good])));
        prop_assert!(expected.is_subset(&ids(&normalized)));
        for event in published(&normalized) {
            let wire = serde_json::to_vec(&event).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Event>(&wire).unwrap(), event);
        }
    }

    #[test]
    fn batching_splitting_and_repeating_give_the_same_ids(
        chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        cuts in prop::collection::vec(any::<bool>(), 8),
        repeat in any::<bool>(),
        time in 1_700_000_000_000_i64..1_900_000_000_000,
    ) {
        let pieces = pieces();
        let entries: Vec<Value> = chosen.iter().map(|index| index.get(&pieces).clone()).collect();
        let whole = ids(&run_json(&body_of(&entries)));
        let mut split = BTreeSet::new();
        let mut bodies: Vec<Vec<Value>> = vec![Vec::new()];
        for (entry, cut) in entries.iter().zip(&cuts) {
            // Meta sends it again, at another time.
            let mut entry = entry.clone();
            entry["time"] = time.into();
            if *cut { bodies.push(Vec::new()); }
            let last = bodies.last_mut().unwrap();
            if repeat { last.push(entry.clone()); }
            last.push(entry);
        }
        for body in bodies {
            split.extend(ids(&run_json(&body_of(&body))));
        }
        prop_assert_eq!(whole, split);
    }
}
