//! Instagram fixtures: what each gives, line by line.

use super::*;

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
        facts::draft::message_of(&events.last().unwrap().data.fact).map(str::to_owned)
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
            r#"comment.created - 1794994920000~ {"ad":{"ad_id":"120200000000000001","ad_title":"Autumn lamps","original_media_id":"18000000000000701"},"author":{"id":"5200000000000022","username":"second.shopper"},"comment_id":"17900000000000503","media_id":"18000000000000701","media_product_type":"AD","parent_id":"17900000000000501","text":"same question"}"#,
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
