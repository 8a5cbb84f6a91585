//! Messenger fixtures: what each gives, line by line.

use super::*;

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
