//! Odd bodies, tests from the dashboard, and what holds for every fixture.

use std::collections::BTreeMap;

use super::*;

#[test]
fn odd_bodies() {
    check(
        "odd-batch-mixed-accounts",
        &[
            r#"message.received 022 1795000200000 {"text":"first"}"#,
            r#"message.received 033 1795000191000 {"text":"sent earlier, delivered later"}"#,
            r#"message.received 033 1795000195000 {"text":"to the other account"}"#,
            r#"comment.created - 1795000200000~ {"author":{"id":"5200000000000033","username":"made.up.shopper"},"comment_id":"17900000000000511","media_id":"18000000000000701","media_product_type":"REELS","text":"nice"}"#,
        ],
    );
    check("odd-duplicate-mid", &[r#"message.received 022 1795000200000 {"text":"first"}"#]);
    check("odd-empty-entry", &[]);
    check("odd-empty-items", &[]);
    check(
        "odd-messaging-and-changes",
        &[
            r#"message.received 111 1795000500000 {"text":"and also a DM"}"#,
            r#"message.received 222 1795000500000s {"text":"owned by another app"}"#,
            r#"comment.created - 1795000500000 {"author":{"id":"7300000000000333","username":"Test Person"},"comment_id":"5500000000001_6600000000077","parent_id":"5500000000001_6600000000001","post_id":"103000000000301_5500000000001","text":"reply below a comment"}"#,
        ],
    );
    check(
        "odd-missing-timestamp",
        &[r#"message.received 111 1795000800000~ {"text":"no timestamp here"}"#],
    );
    check(
        "odd-string-timestamps-iso",
        &[r#"message.received 011 1795000859000 {"text":"times as ISO strings"}"#],
    );
    check(
        "odd-numeric-ids",
        &[r#"message.received 119 1795000800000 {"text":"ids are JSON numbers above 2^53"}"#],
    );
    let numeric = published(&run(&fixture("odd-numeric-ids"))).pop().unwrap();
    assert_eq!(numeric.data.contact_id.unwrap().as_str(), "73000000000001119");
    assert_eq!(numeric.data.account_id.as_str(), P);
    check(
        "odd-escaped-unicode",
        &[
            r#"message.received 011 1795001100000 {"text":"Grüße 😊 مرحبا https://example.invalid/a?b=1&c=<x>"}"#,
        ],
    );
    check(
        "odd-top-level-array",
        &[r#"message.received 011 1795001101000 {"text":"wrapped in an array"}"#],
    );
    check("odd-not-json", &[r#"webhook.unrecognized - 1800000000000~ {"reason":"not_json"}"#]);
    check(
        "odd-unknown-field-and-key",
        &[
            r#"webhook.unrecognized - 1795000200000~ {"entry_id":"17841400000000101","field":"brand_new_field","keys":["x"],"object":"instagram","reason":"unknown_field"}"#,
            r#"webhook.unrecognized - 1795000200000~ {"entry_id":"17841400000000101","field":"brand_new_event","keys":["brand_new_event","recipient","sender","timestamp"],"object":"instagram","reason":"unknown_item"}"#,
            r#"webhook.unrecognized - 1795000200000~ {"entry_id":"17841400000000101","object":"instagram","reason":"bad_shape"}"#,
            r#"webhook.unrecognized - 1795000200000~ {"entry_id":"17841400000000101","field":"message","keys":["message","recipient","sender","timestamp"],"object":"instagram","reason":"invalid_item"}"#,
        ],
    );
}

#[test]
fn test_deliveries_are_recognised_and_do_nothing() {
    for name in ["odd-test-changes-messages", "odd-test-messaging-entry-zero", "odd-test-comment"] {
        let normalized = run(&fixture(name));
        let kinds: Vec<_> = published(&normalized).iter().map(Event::kind).collect();
        assert_eq!(kinds, [Kind::WebhookTest], "{name}");
        assert_eq!(normalized.senderless().count(), 0, "{name}");
    }
    // Somebody sends the sample again, under a real account.
    let mut body: Value = serde_json::from_slice(&fixture("odd-test-comment")).unwrap();
    body["entry"][0]["id"] = A.into();
    assert_eq!(published(&run_json(&body))[0].kind(), Kind::WebhookTest);
}

#[test]
fn every_event_of_every_fixture_is_valid_and_deterministic() {
    let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let stored = above.map(|dir| dir.join("schemas/json")).find(|dir| dir.is_dir()).unwrap();
    let schemas: BTreeMap<Kind, jsonschema::Validator> = Kind::ALL
        .iter()
        .map(|kind| {
            let path = stored.join(format!("{kind}.v1.json"));
            let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            (*kind, jsonschema::validator_for(&schema).unwrap())
        })
        .collect();
    for name in fixtures() {
        let (one, other) = (run(&fixture(&name)), run(&fixture(&name)));
        assert_eq!(one, other, "{name}");
        for event in published(&one) {
            let value = serde_json::to_value(&event).unwrap();
            assert!(schemas[&event.kind()].is_valid(&value), "{name}: {value}");
            let wire = serde_json::to_vec(&event).unwrap();
            assert_eq!(serde_json::from_slice::<Event>(&wire).unwrap(), event, "{name}");
        }
    }
}
