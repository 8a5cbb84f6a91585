use serde_json::json;

use super::*;

fn fixture(name: &str) -> Value {
    let path =
        format!("{}/../../tests/fixtures/meta/graph/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    serde_json::from_str::<Value>(&text).unwrap()["response"]["body"].clone()
}

#[test]
fn a_looked_up_message_names_both_sides() {
    let found = FoundMessage::read(&fixture("message-lookup-ok"));
    assert_eq!(found.from.as_ref().unwrap().id.as_deref(), Some("5200000000000011"));
    assert_eq!(found.to[0].id.as_deref(), Some("17841400000000101"));
    assert_eq!(found.text.as_deref(), Some("Are you open today?"));
    assert_eq!(found.created_time.unwrap().to_string(), "2026-11-18T10:59:59.000Z");
    assert!(found.detailed && found.has_content());
}

#[test]
fn a_listing_keeps_the_cursor_and_not_the_link() {
    let page = ConversationPage::read(&fixture("conversations-list"), None);
    assert_eq!(page.conversations.len(), 2);
    assert_eq!(page.conversations[0].messages.len(), 2);
    assert_eq!(page.conversations[0].participants[1].id.as_deref(), Some("5200000000000011"));
    assert_eq!(page.conversations[1].messages, []);
    assert!(page.conversations.iter().all(|conversation| !conversation.more));
    let more = json!({"data": [{"messages": {"data": [], "paging": {"next": "https://g/t"}}}]});
    assert!(ConversationPage::read(&more, None).conversations[0].more);
    assert_eq!(page.next.as_deref(), Some("FIXTURE_AFTER_1"));
    // `next` decides, not `cursors`.
    assert_eq!(next(&json!({"paging": {"cursors": {"after": "A"}}}), None), None);
    let link = "https://graph.instagram.com/v26.0/me/conversations?access_token=T&after=B";
    assert_eq!(next(&json!({"paging": {"next": link}}), Some("A")).as_deref(), Some("B"));
}

#[test]
fn a_listing_that_leads_to_itself_ends() {
    let page = |after: &str| json!({"paging": {"next": "https://g", "cursors": {"after": after}}});
    assert_eq!(next(&page("A"), Some("A")), None);
    assert_eq!(next(&page(&"A".repeat(CURSOR_MAX + 1)), None), None);
    assert_eq!(next(&page("B"), Some("A")).as_deref(), Some("B"));
}

#[test]
fn ids_may_be_numbers_and_texts_may_be_empty() {
    let found = FoundMessage::read(
        &json!({"id": "m", "from": {"id": 5_200_000_000_000_011_u64}, "message": ""}),
    );
    assert_eq!(found.from.as_ref().unwrap().id.as_deref(), Some("5200000000000011"));
    assert!(!found.has_content());
    let bare = FoundMessage::read(&json!({"id": "m", "created_time": "2026-11-18T10:59:59+0000"}));
    assert!(!bare.detailed);
}

#[test]
fn attachments_are_told_in_the_words_of_webhooks() {
    let found = FoundMessage::read(&json!({"id": "m", "attachments": {"data": [
        {"mime_type": "image/jpeg", "image_data": {"url": "https://i"}},
        {"mime_type": "audio/mp4", "file_url": "https://a", "name": "voice"},
        {"generic_template": {"title": "x"}},
    ]}, "shares": {"data": [{"link": "https://s"}]}}));
    let kinds: Vec<_> =
        found.attachments.iter().map(|a| (a.kind.as_str(), a.url.as_deref())).collect();
    assert_eq!(
        kinds,
        [
            ("image", Some("https://i")),
            ("audio", Some("https://a")),
            ("template", None),
            ("share", Some("https://s"))
        ]
    );
}

#[test]
fn the_fields_are_those_of_our_app() {
    let page = json!({"data": [
        {"id": "1", "subscribed_fields": ["messages", {"name": "feed", "version": "v26.0"}]},
        {"id": "9", "subscribed_fields": ["leadgen"]},
    ]});
    assert_eq!(subscribed_by_app(&page, Some("1")), ["feed", "messages"]);
    assert_eq!(subscribed_by_app(&page, None), Vec::<String>::new());
    assert_eq!(subscribed_by_app(&page, Some("2")), Vec::<String>::new());
    let instagram = json!({"data": [{"app_id": "1", "subscribed_fields": ["messages"]}]});
    assert_eq!(subscribed_by_app(&instagram, None), ["messages"]);
    assert_eq!(subscribed_by_app(&json!({"data": []}), None), Vec::<String>::new());
}
