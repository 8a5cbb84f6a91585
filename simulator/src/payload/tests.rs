use super::*;
use crate::testing::{fixture, fixture_bytes};

const A: &str = "17841400000000101";
const C1: &str = "5200000000000011";
const P: &str = "103000000000301";
const F1: &str = "7300000000000111";

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).expect("a time")
}

fn body_of(channel: Channel, node: Node, sent_ms: i64) -> Vec<u8> {
    let id = if channel == Channel::Instagram { A } else { P };
    let item = Item {
        account: AccountKey { channel, id: id.to_owned() },
        order: String::new(),
        envelope: Envelope::Messaging,
        field: "messages",
        node,
    };
    body(channel, &[&item], at(sent_ms))
}

/// `check` alone knows how a fixture is compared: the same JSON, and the same key order.
fn check(name: &str, channel: Channel, build: impl Fn(Parties<'_>, &Value) -> Node) {
    let expected = fixture(name);
    let entry = &expected["entry"][0];
    let item = &entry["messaging"][0];
    let parties = Parties {
        sender: item["sender"]["id"].as_str().unwrap_or(""),
        recipient: item["recipient"]["id"].as_str().unwrap_or(""),
        at: at(item["timestamp"].as_i64().unwrap_or(0)),
    };
    let bytes = body_of(channel, build(parties, item), entry["time"].as_i64().expect("a time"));
    let built: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(built, expected, "{name}");
    assert_eq!(bytes, Node::from_ordered(&fixture_bytes(name)).to_meta_bytes(), "{name}");
}

fn mid_of(part: &Value) -> &str {
    part["mid"].as_str().expect("a mid")
}

fn text_of(part: &Value) -> Content {
    Content { text: part["text"].as_str().map(str::to_owned), ..Content::default() }
}

#[test]
fn instagram_items_are_those_of_the_fixtures() {
    let ig = Channel::Instagram;
    check("instagram/ig-message-text.json", ig, |parties, item| {
        message(parties, mid_of(&item["message"]), &text_of(&item["message"]))
    });
    check("instagram/ig-message-echo.json", ig, |parties, item| {
        echo(parties, mid_of(&item["message"]), &text_of(&item["message"]), None)
    });
    check("instagram/ig-message-quick-reply.json", ig, |parties, item| {
        let content =
            Content { quick_reply: Some("RESERVE_YES".to_owned()), ..text_of(&item["message"]) };
        message(parties, mid_of(&item["message"]), &content)
    });
    check("instagram/ig-message-reply-to-mid.json", ig, |parties, item| {
        let quoted = mid_of(&item["message"]["reply_to"]).to_owned();
        let content = Content { reply_to: Some(quoted), ..text_of(&item["message"]) };
        message(parties, mid_of(&item["message"]), &content)
    });
    check("instagram/ig-message-deleted.json", ig, |parties, item| {
        deleted(parties, mid_of(&item["message"]))
    });
    check("instagram/ig-message-edit-real.json", ig, |parties, item| {
        let part = &item["message_edit"];
        edit(parties, mid_of(part), part["text"].as_str().expect("a text"), 1)
    });
    check("odd/odd-message-edit-senderless.json", ig, |parties, item| {
        hint(parties, mid_of(&item["message_edit"]), false)
    });
    check("instagram/ig-reaction-react.json", ig, |parties, item| {
        reaction(parties, mid_of(&item["reaction"]), Some(("love", "❤️")))
    });
    check("instagram/ig-seen.json", ig, |parties, item| {
        read(parties, ig, mid_of(&item["read"]), at(0))
    });
    check("instagram/ig-postback-icebreaker.json", ig, |parties, item| {
        postback(parties, mid_of(&item["postback"]), "What are your opening hours?", "HOURS")
    });
    check("instagram/ig-referral-igme.json", ig, |parties, _| referral(parties, ig, "flyer_7"));
}

#[test]
fn messenger_items_are_those_of_the_fixtures() {
    let fb = Channel::Messenger;
    check("messenger/fb-message-text.json", fb, |parties, item| {
        message(parties, mid_of(&item["message"]), &text_of(&item["message"]))
    });
    check("messenger/fb-echo-own-app.json", fb, |parties, item| {
        let app = Some((990_000_000_000_001, Some("out:7f3c2a9e-0001")));
        echo(parties, mid_of(&item["message"]), &text_of(&item["message"]), app)
    });
    check("messenger/fb-delivery.json", fb, |_, item| {
        let mid = item["delivery"]["mids"][0].as_str().expect("a mid").to_owned();
        delivery(
            Parties { sender: F1, recipient: P, at: at(0) },
            &[mid],
            at(item["delivery"]["watermark"].as_i64().expect("a watermark")),
        )
    });
    check("messenger/fb-read.json", fb, |parties, item| {
        read(parties, fb, "", at(item["read"]["watermark"].as_i64().expect("a watermark")))
    });
    check("messenger/fb-referral-mme.json", fb, |parties, _| referral(parties, fb, "mail_12"));
}

#[test]
fn comments_are_those_of_the_fixtures() {
    let expected = fixture("instagram/ig-comment-self.json");
    let comment = Comment {
        id: "17900000000000504".to_owned(),
        account: AccountKey { channel: Channel::Instagram, id: A.to_owned() },
        media: "18000000000000701".to_owned(),
        parent: Some("17900000000000501".to_owned()),
        person: None,
        text: "From 29 euro".to_owned(),
        at: at(0),
        hidden: false,
        deleted: false,
        private_reply: None,
    };
    let node = instagram_comment(&comment, (A, "lumen.fixture"), Some("5200000000000999"));
    let built: Value = serde_json::from_slice(&node.to_meta_bytes()).expect("JSON");
    assert_eq!(built, expected["entry"][0]["changes"][0]["value"]);
    for (name, verb) in [
        ("messenger/fb-feed-comment-edited.json", FeedVerb::Edited),
        ("messenger/fb-feed-comment-remove.json", FeedVerb::Remove),
    ] {
        let expected = fixture(name)["entry"][0]["changes"][0]["value"].clone();
        let text = |key: &str| expected[key].as_str().unwrap_or("").to_owned();
        let comment = Comment {
            id: text("comment_id"),
            media: text("post_id"),
            parent: None,
            text: text("message"),
            at: at(expected["created_time"].as_i64().unwrap_or(0) * 1000),
            ..comment.clone()
        };
        let edited_at = at(1_794_997_260_000);
        let author = ("7300000000000333", "Test Person");
        let node = page_comment(&comment, verb, author, edited_at);
        let built: Value = serde_json::from_slice(&node.to_meta_bytes()).expect("JSON");
        assert_eq!(built, expected, "{name}");
    }
}

#[test]
fn a_body_is_byte_for_byte_what_meta_signs() {
    let raw = fixture_bytes("odd/odd-escaped-unicode.json");
    let item = fixture("odd/odd-escaped-unicode.json")["entry"][0]["messaging"][0].clone();
    let parties = Parties { sender: C1, recipient: A, at: at(1_795_001_100_000) };
    let node = message(parties, mid_of(&item["message"]), &text_of(&item["message"]));
    assert_eq!(
        String::from_utf8(body_of(Channel::Instagram, node, 1_795_001_100_400)),
        String::from_utf8(raw)
    );
}

#[test]
fn a_batch_keeps_order_and_shares_entries_between_neighbours() {
    let item = |account: &str, envelope| Item {
        account: AccountKey { channel: Channel::Instagram, id: account.to_owned() },
        order: String::new(),
        envelope,
        field: "messages",
        node: Node::Null,
    };
    let (plain, flat) = (Envelope::Messaging, Envelope::Flat);
    let items = [item("a", plain), item("a", plain), item("b", plain), item("a", flat)];
    let bytes = body(Channel::Instagram, &items.iter().collect::<Vec<_>>(), at(5000));
    let built: Value = serde_json::from_slice(&bytes).expect("JSON");
    let ids: Vec<_> = built["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| (entry["id"].clone(), entry["time"].clone()))
        .collect();
    assert_eq!(serde_json::json!(ids), serde_json::json!([["a", 5000], ["b", 5000], ["a", 5]]));
    assert_eq!(built["entry"][0]["messaging"].as_array().map(Vec::len), Some(2));
}
