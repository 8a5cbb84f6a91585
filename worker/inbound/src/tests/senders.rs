//! Whose words they are: hints, aliases, unknown accounts, discoveries, references.

use super::*;

#[test]
fn a_senderless_hint_waits_and_its_companion_does_not() {
    let normalized = run(&fixture("odd-message-edit-senderless"));
    let hints: Vec<_> = normalized.senderless().collect();
    assert_eq!((hints.len(), normalized.outputs.len()), (1, 1));
    let hint = hints[0];
    assert_eq!(
        (hint.num_edit, hint.outbound, hint.sender.clone(), hint.text.clone()),
        (0, false, None, None)
    );
    assert_eq!(hint.time.as_millis(), 1_794_999_600_250);
    assert_eq!(hint.created_at.unwrap().as_millis(), 1_794_999_599_350);
    assert_eq!(hint.thread_id.as_deref(), Some("340282366841710301244276000000000000011"));

    let normalized = run(&fixture("odd-message-edit-companion"));
    assert_eq!(normalized.senderless().count(), 0);
    check(
        "odd-message-edit-companion",
        &[r#"message.received 011 1794999599350 {"text":"Are you open today?"}"#],
    );
}

#[test]
fn a_hint_may_come_as_a_change_with_a_sender_or_with_a_placeholder() {
    let item = json!({ "timestamp": 1_794_999_600_250_i64, "message_edit": { "mid": "m1", "num_edit": "0" } });
    for field in ["message_edit", "message_edits"] {
        for value in [item.clone(), item["message_edit"].clone()] {
            let body = json!({ "object": "instagram", "entry": [{ "id": A, "time": 1_794_999_600,
                "changes": [{ "field": field, "value": value }] }] });
            let normalized = run_json(&body);
            assert_eq!(
                normalized.senderless().map(|hint| hint.num_edit).collect::<Vec<_>>(),
                [0],
                "{body}"
            );
            assert_eq!(normalized.outputs.len(), 1);
        }
    }
    let with = |sender: &str, recipient: &str| {
        let mut item = item.clone();
        item["sender"] = json!({ "id": sender });
        item["recipient"] = json!({ "id": recipient });
        let body = json!({ "object": "instagram", "entry": [{ "id": A, "time": 1, "messaging": [item] }] });
        let normalized = run_json(&body);
        let hint = normalized.senderless().next().unwrap();
        (hint.sender.as_ref().map(ToString::to_string), hint.outbound)
    };
    assert_eq!(with("5200000000000011", A), (Some("5200000000000011".to_owned()), false));
    assert_eq!(with(A, "5200000000000011"), (Some("5200000000000011".to_owned()), true));
    assert_eq!(with("unknown_sender", A), (None, false));
    assert_eq!(with("25500000000000101", "12334"), (None, true));
}

#[test]
fn a_real_edit_can_wait_for_its_message() {
    let waits = |sender: &str, recipient: &str, num_edit: Value| {
        let body = json!({ "object": "instagram", "entry": [{ "id": A, "time": 1, "messaging": [{
            "sender": { "id": sender }, "recipient": { "id": recipient }, "timestamp": 1_794_999_600_250_i64,
            "message_edit": { "mid": "m1", "text": "new", "num_edit": num_edit } }] }] });
        let normalized = run_json(&body);
        let draft = normalized.facts().next().unwrap();
        assert_eq!(draft.event.kind(), Kind::MessageEdited);
        crate::normalize::Senderless::of_edit(draft).map(|edit| {
            assert_eq!(edit.sender.as_ref().map(AsRef::as_ref), Some("5200000000000011"));
            assert_eq!((edit.text.as_deref(), edit.time), (Some("new"), draft.event.time));
            (edit.num_edit, edit.outbound)
        })
    };
    assert_eq!(waits("5200000000000011", A, json!("2")), Some((2, false)));
    assert_eq!(waits(A, "5200000000000011", json!(1)), Some((1, true)));
    assert_eq!(waits("5200000000000011", A, Value::Null), None);
}

#[test]
fn a_real_edit_without_a_sender_waits_with_its_text() {
    let body = json!({ "object": "instagram", "entry": [{ "id": A, "time": 1, "messaging": [
        { "timestamp": 1_794_999_600_250_i64, "message_edit": { "mid": "m1", "num_edit": 2, "text": "new" } }] }] });
    let normalized = run_json(&body);
    let item = normalized.senderless().next().unwrap();
    assert_eq!((item.num_edit, item.text.as_deref()), (2, Some("new")));
}

#[test]
fn unknown_accounts_and_other_apps_secrets_are_not_believed() {
    let nobody = Directory::new(1, vec![]);
    let normalized = normalize(&fixture("ig-message-text"), &meta(), &nobody);
    let events = published(&normalized);
    assert_eq!(line(&events[0]).split(' ').next(), Some("webhook.unrecognized"));
    assert_eq!((events.len(), events[0].data.account_id.as_str()), (1, A));
    assert!(!serde_json::to_string(&events[0]).unwrap().contains("blue lamp"));

    let mut other = account(Channel::Instagram, A);
    other.app = Some("shop".to_owned());
    let normalized =
        normalize(&fixture("ig-message-text"), &meta(), &Directory::new(1, vec![other]));
    let Fact::WebhookUnrecognized(shape) = &published(&normalized)[0].data.fact else { panic!() };
    assert_eq!(shape.reason, "wrong_app");
}

#[test]
fn an_alias_leads_to_the_same_ids() {
    let text = String::from_utf8(fixture("ig-message-text")).unwrap();
    let alias = text.replace(&format!("\"id\": \"{A}\""), "\"id\": \"25500000000000101\"");
    assert_ne!(text, alias);
    assert_eq!(ids(&run(text.as_bytes())), ids(&run(alias.as_bytes())));
}

#[test]
fn a_person_is_discovered_before_their_first_act_with_a_placeholder() {
    let events = published(&run(&fixture("odd-batch-mixed-accounts")));
    let kinds: Vec<_> = events.iter().map(|event| event.kind().as_str()).collect();
    let (found, received) = ("contact.discovered", "message.received");
    assert_eq!(kinds, [found, received, found, received, received, "comment.created"]);
    let Fact::ContactDiscovered(body) = &events[0].data.fact else { panic!() };
    assert_eq!(body.placeholder, "IG User 0022");
    let events = published(&run(&fixture("fb-message-text")));
    let Fact::ContactDiscovered(body) = &events[0].data.fact else { panic!() };
    assert_eq!(body.placeholder, "User 000111");
    // Receipts, edits, reactions, unsends and comments show nobody new.
    for name in [
        "ig-seen",
        "fb-delivery",
        "ig-message-edit-real",
        "ig-reaction-react",
        "ig-message-deleted",
        "ig-comment-flat",
    ] {
        assert!(
            published(&run(&fixture(name)))
                .iter()
                .all(|event| event.kind() != Kind::ContactDiscovered),
            "{name}"
        );
    }
}

#[test]
fn messages_become_known_by_mid_with_direction_and_thread() {
    let known = |name: &str| {
        let normalized = run(&fixture(name));
        let draft = normalized.facts().last().unwrap().clone();
        draft.messages.first().map(|message| (message.direction, message.thread_id.is_some()))
    };
    assert_eq!(known("ig-message-text"), Some((Direction::Inbound, true)));
    assert_eq!(known("ig-message-echo"), Some((Direction::Outbound, true)));
    assert_eq!(known("fb-message-text"), Some((Direction::Inbound, false)));
    // A tap may name the mid of the template.
    assert_eq!(known("fb-postback"), None);
    assert_eq!(known("ig-message-deleted"), None);
}

#[test]
fn persons_known_by_reference_only_have_no_conversation() {
    let body = json!({ "object": "page", "entry": [{ "id": P, "time": 1, "messaging": [
        { "sender": { "user_ref": "ref-1" }, "recipient": { "id": P }, "timestamp": 1_794_999_600_250_i64,
          "postback": { "title": "Start", "payload": "S" } },
        { "sender": { "id": "7300000000000111" }, "recipient": { "id": P }, "timestamp": 1_794_999_600_251_i64,
          "prior_message": { "source": "checkbox_plugin", "identifier": "ref-1" },
          "message": { "mid": "m1", "text": "hi" } }] }] });
    let events = published(&run_json(&body));
    let Fact::PostbackReceived(postback) = &events[0].data.fact else { panic!("{events:?}") };
    assert_eq!(
        (postback.user_ref.as_deref(), &events[0].data.conversation_id),
        (Some("ref-1"), &None)
    );
    let Fact::MessageReceived(message) = &events[2].data.fact else { panic!("{events:?}") };
    assert_eq!(message.user_ref.as_deref(), Some("ref-1"));
}
