//! Every fixture of `tests/fixtures/meta/` gives what its README says; and what must hold for any input at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use schemas::raw::RawMeta;
use schemas::{Channel, Event, Fact, Kind, Timestamp};
use serde_json::{Value, json};

use super::normalize::{Normalized, Output, normalize};
use crate::accounts::directory::{Account, Directory, Login};
use crate::facts::{Direction, Draft, Known, decide::decide};

const A: &str = "17841400000000101";
const B: &str = "17841400000000202";
const P: &str = "103000000000301";

fn account(channel: Channel, id: &str) -> Account {
    Account {
        channel,
        id: id.into(),
        login: Login::Facebook,
        app: None,
        page_id: None,
        aliases: Vec::new(),
        name: None,
        auto_reply: None,
        stopped: false,
    }
}

fn directory() -> Directory {
    let mut first = account(Channel::Instagram, A);
    first.aliases = vec!["25500000000000101".to_owned()];
    Directory::new(1, vec![first, account(Channel::Instagram, B), account(Channel::Messenger, P)])
}

fn meta() -> RawMeta {
    RawMeta {
        stream_sequence: 7,
        received_at: Timestamp::from_millis(1_800_000_000_000),
        secret: Some("default".to_owned()),
        path: Some("/webhook".to_owned()),
        traceparent: None,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/meta")
}

fn fixture(name: &str) -> Vec<u8> {
    let folder_of = match &name[..3] {
        "ig-" => "instagram",
        "fb-" => "messenger",
        _ => "odd",
    };
    std::fs::read(folder().join(folder_of).join(format!("{name}.json"))).unwrap()
}

fn run(body: &[u8]) -> Normalized {
    normalize(body, &meta(), &directory())
}

fn run_json(body: &Value) -> Normalized {
    run(body.to_string().as_bytes())
}

/// What would be published, when nothing is known before.
fn published(normalized: &Normalized) -> Vec<Event> {
    let drafts: Vec<Draft> = normalized.facts().cloned().collect();
    decide(drafts, Known::default())
        .publish
        .into_iter()
        .map(|planned| planned.draft.event)
        .collect()
}

/// Published events but discoveries, on one line each: kind, contact's last digits, time in ms, flags, fields.
fn lines(name: &str) -> Vec<String> {
    published(&run(&fixture(name)))
        .iter()
        .filter(|event| event.kind() != Kind::ContactDiscovered)
        .map(line)
        .collect()
}

fn line(event: &Event) -> String {
    let data = &event.data;
    let contact = data
        .contact_id
        .as_ref()
        .map_or("-".into(), |id| schemas::ids::tail(id.as_str(), 3).into_owned());
    let mut flags = String::new();
    for (set, mark) in [(data.time_approximate, '~'), (data.standby, 's'), (data.is_self, '@')] {
        if set {
            flags.push(mark);
        }
    }
    let mut fields = data.fact.to_fields().unwrap();
    for mid in ["message_id", "shape", "bytes"] {
        if let Some(Value::String(text)) = fields.get(mid) {
            let short: String =
                text.chars().rev().skip_while(|c| matches!(c, 'Z' | 'D' | 'A')).take(6).collect();
            fields.insert(mid.to_owned(), short.chars().rev().collect::<String>().into());
        }
    }
    fields.remove("shape");
    fields.remove("bytes");
    fields.remove("message_id");
    format!(
        "{} {contact} {}{flags} {}",
        event.kind(),
        event.time.as_millis(),
        Value::Object(fields)
    )
}

fn check(name: &str, expected: &[&str]) {
    assert_eq!(lines(name), expected, "{name}");
}

const CDN: &str = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=";
const SIGNED: &str = "&signature=FIXTURE_NOT_A_REAL_SIGNATURE";

fn attachment(kind: &str, asset: &str) -> Value {
    json!({ "attachments": [{ "type": kind, "url": format!("{CDN}{asset}{SIGNED}") }] })
}

#[test]
fn instagram_messages() {
    check(
        "ig-message-text",
        &[r#"message.received 011 1794993300120 {"text":"Hi, is the blue lamp still in stock?"}"#],
    );
    check(
        "ig-message-echo",
        &[r#"message.sent 011 1794993400500 {"text":"Yes, three left. Shall I put one aside?"}"#],
    );
    check(
        "ig-message-quick-reply",
        &[
            r#"message.received 011 1794993450000 {"quick_reply":{"payload":"RESERVE_YES"},"text":"Yes please"}"#,
        ],
    );
    let images = json!({ "attachments": [
        { "type": "image", "url": format!("{CDN}18000000000000801{SIGNED}") },
        { "type": "image", "url": format!("{CDN}18000000000000802{SIGNED}") },
    ]});
    check("ig-message-images", &[&format!("message.received 011 1794993600000 {images}")]);
    let voice = attachment("audio", "18000000000000803");
    check("ig-message-voice-note", &[&format!("message.received 011 1794993660000 {voice}")]);
    let post = json!({ "attachments": [{
        "type": "ig_post", "url": format!("{CDN}18000000000000804{SIGNED}"), "title": "Autumn collection",
        "payload": { "ig_post_media_id": "18000000000000701" },
    }]});
    check("ig-message-ig-post", &[&format!("message.received 022 1794993720000 {post}")]);
    let mention = attachment("story_mention", "18000000000000805");
    check("ig-message-story-mention", &[&format!("message.received 022 1794993780000 {mention}")]);
    let story = json!({
        "text": "Love this one",
        "reply_to": { "story": { "id": "18000000000000702", "url": format!("{CDN}18000000000000806{SIGNED}") } },
    });
    check("ig-message-reply-to-story", &[&format!("message.received 022 1794993840000 {story}")]);
    check(
        "ig-message-ephemeral",
        &[r#"message.received 011 1794993960000 {"attachments":[{"type":"ephemeral"}]}"#],
    );
    check(
        "ig-message-unsupported",
        &[r#"message.received 011 1794994020000 {"unsupported":true}"#],
    );
    let mut unsupported = attachment("unsupported_type", "18000000000000807");
    unsupported["unsupported"] = true.into();
    check(
        "ig-message-unsupported-type",
        &[&format!("message.received 011 1794994050000 {unsupported}")],
    );
    check("ig-message-self", &[r#"message.sent 999 1794994140000@ {"text":"test to myself"}"#]);
    let ad = json!({
        "text": "Is this offer still on?",
        "referral": {
            "source": "ADS", "type": "OPEN_THREAD", "ref": "autumn_ctd", "ad_id": "120200000000000001",
            "ads_context_data": { "ad_title": "Autumn lamps", "photo_url": "https://example.invalid/ad.jpg" },
        },
    });
    check("ig-message-ad-referral", &[&format!("message.received 022 1794994200000 {ad}")]);
    check("ig-standby", &[r#"message.received 022 1794994500000s {"text":"Can a human help?"}"#]);
}

#[test]
fn instagram_acts_upon_messages() {
    check("ig-seen", &["message.read 011 1794993425000 {}"]);
    check("ig-message-deleted", &["message.deleted 011 1794994080000 {}"]);
    check(
        "ig-message-edit-real",
        &[
            r#"message.edited 011 1794994260000 {"edit_number":1,"text":"Hi, is the GREEN lamp still in stock?"}"#,
        ],
    );
    check(
        "ig-reaction-react",
        &[r#"message.reacted 011 1794994320000 {"by":"contact","emoji":"❤️","reaction":"love"}"#],
    );
    check(
        "ig-postback-icebreaker",
        &[
            r#"postback.received 022 1794994380000 {"payload":"HOURS","title":"What are your opening hours?"}"#,
        ],
    );
    check(
        "ig-referral-igme",
        &[
            r#"referral.received 022 1794994440000 {"referral":{"ref":"flyer_7","source":"IGME-SOURCE-LINK","type":"OPEN_THREAD"}}"#,
        ],
    );
    // The story of the fixtures: the echo was read, reacted to and quoted; the quick reply was unsent, the first text edited.
    let mid = |name: &str| {
        let events = published(&run(&fixture(name)));
        crate::facts::draft::message_of(&events.last().unwrap().data.fact).map(str::to_owned)
    };
    assert_eq!(mid("ig-seen"), mid("ig-message-echo"));
    assert_eq!(mid("ig-reaction-react"), mid("ig-message-echo"));
    assert_eq!(mid("ig-message-deleted"), mid("ig-message-quick-reply"));
    assert_eq!(mid("ig-message-edit-real"), mid("ig-message-text"));
    let quoting = published(&run(&fixture("ig-message-reply-to-mid"))).pop().unwrap();
    let Fact::MessageReceived(message) = &quoting.data.fact else { panic!("{quoting:?}") };
    assert_eq!(
        message
            .reply_to
            .as_ref()
            .and_then(|reply| reply.message_id.clone())
            .map(|mid| mid.into_string()),
        mid("ig-message-echo")
    );
    assert_eq!(
        (message.text.as_deref(), quoting.time.as_millis()),
        (Some("this one"), 1_794_993_900_000)
    );
}

#[test]
fn instagram_changes() {
    check(
        "ig-comment-changes",
        &[
            r#"comment.created - 1794994800000~ {"author":{"id":"5200000000000033","username":"made.up.shopper"},"comment_id":"17900000000000501","media_id":"18000000000000701","media_product_type":"FEED","text":"How much is the small one?"}"#,
        ],
    );
    check(
        "ig-comment-flat",
        &[
            r#"comment.created - 1794994860000~ {"author":{"id":"5200000000000033","username":"made.up.shopper"},"comment_id":"17900000000000502","media_id":"18000000000000701","media_product_type":"FEED","text":"and the large one?"}"#,
        ],
    );
    check(
        "ig-comment-reply-ad",
        &[
            r#"comment.created - 1794994920000~ {"ad":{"ad_id":"120200000000000001","ad_title":"Autumn lamps","original_media_id":"18000000000000701"},"author":{"id":"5200000000000022","username":"second.shopper"},"comment_id":"17900000000000503","media_id":"18000000000000711","media_product_type":"AD","parent_id":"17900000000000501","text":"same question"}"#,
        ],
    );
    check(
        "ig-comment-self",
        &[
            r#"comment.created - 1794994980000~@ {"author":{"id":"17841400000000101","self":true,"username":"lumen.fixture"},"comment_id":"17900000000000504","media_id":"18000000000000701","media_product_type":"FEED","parent_id":"17900000000000501","text":"From 29 euro"}"#,
        ],
    );
    check(
        "ig-mention-comment",
        &[
            r#"mention.created - 1794995040000~ {"author":{},"comment_id":"17900000000000590","media_id":"18000000000000790"}"#,
        ],
    );
    check(
        "ig-story-insights",
        &[
            r#"story.insights - 1794995100000~ {"exits":40,"impressions":444,"media_id":"18000000000000702","reach":396,"replies":-1,"taps_back":100,"taps_forward":200}"#,
        ],
    );
}

#[test]
fn messenger_messages() {
    check(
        "fb-message-text",
        &[r#"message.received 111 1794996000000 {"text":"Hello, do you ship to Norway?"}"#],
    );
    check(
        "fb-echo-own-app",
        &[
            r#"message.sent 111 1794996060000 {"app_id":"990000000000001","metadata":"out:7f3c2a9e-0001","text":"Yes, 3 to 5 days."}"#,
        ],
    );
    check(
        "fb-echo-page-inbox",
        &[
            r#"message.sent 111 1794996120000 {"app_id":"263902037430900","text":"(typed by a colleague in the Page inbox)"}"#,
        ],
    );
    check(
        "fb-message-reply-quick-reply",
        &[
            r#"message.received 111 1794996240000 {"quick_reply":{"payload":"SHIP_STD"},"reply_to":{"message_id":"m_TrbQ1eyfG2XAC4QC1NpwaVIjY_nSfx4JnNTap21jjj9EygtTQU-amtq00hWwBUdg0ytGoU3imzU8m5x-Cgsr"},"text":"Standard"}"#,
        ],
    );
    check(
        "fb-message-image",
        &[
            r#"message.received 111 1794996300000 {"attachments":[{"type":"image","url":"https://scontent.xx.fbcdn.net/v/t1.15752-9/500000000000001_n.jpg?_nc_cat=1&oh=FIXTURE&oe=FIXTURE"}]}"#,
        ],
    );
    check(
        "fb-message-sticker",
        &[
            r#"message.received 111 1794996360000 {"attachments":[{"payload":{"sticker_id":"369239263222822"},"type":"sticker","url":"https://scontent.xx.fbcdn.net/v/t1.15752-9/500000000000002_n.png?_nc_cat=1&oh=FIXTURE&oe=FIXTURE"}]}"#,
        ],
    );
    check(
        "fb-message-fallback",
        &[
            r#"message.received 111 1794996420000 {"attachments":[{"title":"A lamp","type":"fallback","url":"https://example.invalid/lamp"},{"type":"fallback"}],"text":"https://example.invalid/lamp"}"#,
        ],
    );
    let ad = json!({
        "text": "Tell me more",
        "referral": {
            "source": "ADS", "type": "OPEN_THREAD", "ref": "winter", "ad_id": "120200000000000002",
            "ads_context_data": {
                "ad_title": "Winter sale", "post_id": "5500000000009", "product_id": "8800000000001", "flow_id": "9900000000009",
            },
        },
    });
    check("fb-message-ad-referral", &[&format!("message.received 222 1794996480000 {ad}")]);
    check(
        "fb-message-edit",
        &[
            r#"message.edited 111 1794996900000 {"edit_number":1,"text":"Hello, do you ship to Sweden?"}"#,
        ],
    );
}

#[test]
fn messenger_acts() {
    check(
        "fb-delivery",
        &[r#"message.delivered 111 1794996150350~ {"watermark":"2026-11-18T10:01:02.000Z"}"#],
    );
    check(
        "fb-read",
        &[r#"message.read 111 1794996180000 {"watermark":"2026-11-18T10:02:10.000Z"}"#],
    );
    check(
        "fb-postback",
        &[
            r#"postback.received 222 1794996540000 {"payload":"GET_STARTED","referral":{"ref":"shop_door","source":"SHORTLINK","type":"OPEN_THREAD"},"title":"Get Started"}"#,
        ],
    );
    check(
        "fb-referral-mme",
        &[
            r#"referral.received 222 1794996600000 {"referral":{"ref":"mail_12","source":"SHORTLINK","type":"OPEN_THREAD"}}"#,
        ],
    );
    check(
        "fb-optin-notification",
        &[
            r#"optin.received 222 1794996660000 {"payload":"news","timezone":"Europe/Oslo","title":"News","token_expires_at":"2027-05-18T10:11:00.000Z","token_status":"NOT_REFRESHED","type":"notification_messages"}"#,
        ],
    );
    check(
        "fb-reaction",
        &[r#"message.reacted 111 1794996720000 {"by":"contact","emoji":"🙏","reaction":"other"}"#],
    );
    check(
        "fb-pass-thread-control",
        &[
            r#"thread.control_changed 111 1794996780000 {"action":"pass","metadata":"handover note","new_owner_app_id":"990000000000001"}"#,
        ],
    );
    check(
        "fb-policy-enforcement",
        &[
            r#"account.policy_enforced - 1794996840000 {"action":"block","reason":"fixture reason"}"#,
        ],
    );
}

#[test]
fn an_opt_in_token_is_a_secret_and_in_no_event() {
    let normalized = run(&fixture("fb-optin-notification"));
    let draft = normalized.facts().find(|draft| draft.event.kind() == Kind::OptinReceived).unwrap();
    assert_eq!(
        (draft.secrets[0].name, draft.secrets[0].value.as_str()),
        ("notification_messages_token", "FIXTURE_TOKEN_1")
    );
    assert!(!serde_json::to_string(&draft.event).unwrap().contains("FIXTURE_TOKEN_1"));
    assert!(!format!("{draft:?}").contains("FIXTURE_TOKEN_1"));
}

#[test]
fn messenger_changes() {
    let comment = r#""author":{"id":"7300000000000333","username":"Test Person"},"comment_id":"5500000000001_6600000000001""#;
    let post = r#""post_id":"103000000000301_5500000000001""#;
    check(
        "fb-feed-comment-add",
        &[&format!(
            r#"comment.created - 1794997198000 {{{comment},{post},"text":"Is this available?"}}"#
        )],
    );
    check(
        "fb-feed-comment-edited",
        &[&format!(
            r#"comment.edited - 1794997260000 {{{comment},"created_at":"2026-11-18T10:19:58.000Z",{post},"text":"Is this still available?"}}"#
        )],
    );
    check(
        "fb-feed-comment-remove",
        &[&format!("comment.deleted - 1794997320000~ {{{comment},{post}}}")],
    );
    check(
        "fb-feed-reaction-add",
        &[&format!(
            r#"post.reacted - 1794997379000 {{"author":{{"id":"7300000000000444","username":"Other Person"}},{post},"reaction":"love","verb":"add"}}"#
        )],
    );
    check(
        "fb-feed-post-add",
        &[
            r#"post.changed - 1794997439000@ {"author":{"id":"103000000000301","self":true,"username":"Fixture Page P"},"item":"status","post_id":"103000000000301_5500000000002","published":true,"text":"We are open on Sunday","verb":"add"}"#,
        ],
    );
    check(
        "fb-template-status",
        &[
            r#"template.status_changed - 1794997500000~ {"language":"en_US","name":"order_update","reason":"NONE","status":"APPROVED","template_id":"9900000000777"}"#,
        ],
    );
}

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
    assert_eq!(known("fb-postback"), Some((Direction::Inbound, false)));
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

#[test]
fn every_event_of_every_fixture_is_valid_and_deterministic() {
    for name in fixtures() {
        let (one, other) = (run(&fixture(&name)), run(&fixture(&name)));
        assert_eq!(one, other, "{name}");
        for event in published(&one) {
            let wire = serde_json::to_vec(&event).unwrap();
            assert_eq!(serde_json::from_slice::<Event>(&wire).unwrap(), event, "{name}");
        }
    }
}

/// All webhook fixtures but the one that is no JSON.
fn fixtures() -> Vec<String> {
    let mut names = Vec::new();
    for part in ["instagram", "messenger", "odd"] {
        for entry in std::fs::read_dir(folder().join(part)).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            if name != "odd-signature-vectors" && name != "odd-not-json" {
                names.push(name);
            }
        }
    }
    assert_eq!(names.len(), 66);
    names.sort();
    names
}

/// Ids of all outputs that do not belong to the body as such.
fn ids(normalized: &Normalized) -> BTreeSet<String> {
    normalized
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Fact(draft) => match draft.event.kind() {
                Kind::WebhookTest | Kind::WebhookUnrecognized => None,
                _ => Some(draft.event.id.to_string()),
            },
            Output::Senderless(item) => {
                Some(format!("hint {} {}", item.account_id, item.message_id))
            }
        })
        .collect()
}

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
