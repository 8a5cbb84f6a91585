use serde_json::{Value, json};

use super::*;

fn fixture(name: &str) -> (u16, Vec<u8>) {
    let path =
        format!("{}/../../tests/fixtures/meta/graph/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let fixture: Value = serde_json::from_str(&text).unwrap();
    let status = u16::try_from(fixture["response"]["status"].as_u64().unwrap()).unwrap();
    (status, serde_json::to_vec(&fixture["response"]["body"]).unwrap())
}

/// What the README of the fixtures says about each, for a write and for a read.
#[test]
fn every_fixture_has_its_class() {
    use Class::*;
    let app = Limited(Scope::App);
    let account = Limited(Scope::Account);
    let table: &[(&str, Option<(Class, Class)>)] = &[
        ("comment-reply-ok", None),
        ("conversations-list", None),
        ("conversations-no-capability", Some((Permission, Permission))),
        ("message-lookup-500", Some((Unknown, Retry))),
        ("message-lookup-deleted", Some((Invalid, Invalid))),
        ("message-lookup-ok", None),
        ("private-reply-duplicate", Some((Done, Done))),
        ("private-reply-ok", None),
        ("profile-fb-empty", None),
        ("profile-fb-phone-account", Some((Recipient, Recipient))),
        ("profile-fb-unsupported-get", Some((Recipient, Recipient))),
        ("profile-ig-no-consent", Some((Permission, Permission))),
        ("profile-ig-ok", None),
        ("send-ambiguous-500-code1", Some((Unknown, Retry))),
        ("send-app-throttled-4", Some((app, app))),
        ("send-ig-user-not-found", Some((Recipient, Recipient))),
        ("send-no-matching-user", Some((Recipient, Recipient))),
        ("send-not-thread-owner", Some((Window, Window))),
        ("send-ok-fb", None),
        ("send-ok-ig", None),
        ("send-rate-limited-613", Some((account, account))),
        ("send-tag-removed", Some((Invalid, Invalid))),
        ("send-temporary-2", Some((Unknown, Retry))),
        ("send-token-expired", Some((Account, Account))),
        ("send-user-unavailable", Some((Recipient, Recipient))),
        ("send-window-closed-fb", Some((Window, Window))),
        ("send-window-closed-ig", Some((Window, Window))),
        ("subscribe-bad-field", Some((Invalid, Invalid))),
        ("token-refresh-ok", None),
    ];
    for (name, expected) in table {
        let (status, body) = fixture(name);
        let write = GraphError::of_answer(status, &body, Use::Write).map(|error| error.class);
        let read = GraphError::of_answer(status, &body, Use::Read).map(|error| error.class);
        assert_eq!((write, read), (expected.map(|e| e.0), expected.map(|e| e.1)), "{name}");
    }
    let folder = format!("{}/../../tests/fixtures/meta/graph", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        table.len(),
        "a fixture is not in the table"
    );
}

/// One row of docs/meta-platform.md 9: code, subcodes (0: none), class of a send.
#[test]
fn every_row_of_the_table_has_its_class() {
    use Class::*;
    let app = Limited(Scope::App);
    let account = Limited(Scope::Account);
    let rows: &[(i64, &[i64], Class)] = &[
        (1, &[0, 99, 1_357_046], Unknown),
        (2, &[0], Unknown),
        (2, &[2_018_344], Permission),
        (-1, &[0], Unknown),
        (-2, &[0], Unknown),
        (-1, &[2_534_023], Done),
        (3, &[0], Permission),
        (4, &[0], app),
        (4, &[2_018_354], Window),
        (9, &[2_018_352], Window),
        (10, &[0], Permission),
        (10, &[2_018_278, 2_534_022, 2_018_065], Window),
        (10, &[2_018_108], Recipient),
        (10, &[1_893_063, 2_534_077], Account),
        (10, &[1_404_170, 1_893_015], Window),
        (17, &[0], account),
        (32, &[0], account),
        (80_001, &[0], account),
        (80_002, &[0], account),
        (80_006, &[0], account),
        (80_004, &[0], Class::Retry),
        (100, &[0], Invalid),
        (100, &[33, 2_018_001, 2_534_014], Recipient),
        (100, &[2_018_008, 2_018_047, 2_018_074, 2_018_109, 2_018_294], Invalid),
        (100, &[2_018_014, 2_018_164, 2_534_015], Invalid),
        (100, &[2_534_013], Permission),
        (100, &[2_534_025], Window),
        (100, &[2_534_029, 2_534_122], Account),
        (100, &[2_534_037], Window),
        (102, &[0], Account),
        (190, &[0, 458, 459, 460, 463, 464, 467, 492], Account),
        (200, &[0, 2_018_027, 2_018_028], Permission),
        (200, &[1_545_041], Recipient),
        (200, &[2_534_041], Account),
        (210, &[0], Permission),
        (230, &[0], Permission),
        (299, &[0], Permission),
        (341, &[0], app),
        (368, &[0], Account),
        (506, &[0], Done),
        (551, &[0, 1_545_041], Recipient),
        (613, &[0, 2_534_040], account),
        (613, &[2_018_338, 1_893_016], Window),
        (2_018_300, &[0], Window),
        (2_018_321, &[0], Window),
        (2_018_218, &[0], Recipient),
        (2_018_247, &[0], Permission),
        (100, &[2_018_218], Recipient),
        (100, &[2_018_247], Permission),
        (2_022, &[0], Account),
        (10_900, &[0], Done),
        (10_903, &[0], Window),
        (36_103, &[0], Permission),
        (9_000_001, &[0], Invalid),
        (1_609_005, &[0], Invalid),
    ];
    for (code, subcodes, expected) in rows {
        for subcode in *subcodes {
            // Business refusals come under 400, 403 and 500 alike: the status decides nothing here.
            for status in [400, 401, 403, 500] {
                let subcode = (*subcode != 0).then_some(*subcode);
                let class = classify(Some(*code), subcode, false, status, Use::Write);
                assert_eq!(class, *expected, "{code}/{subcode:?} under {status}");
            }
        }
    }
}

#[test]
fn what_is_not_in_the_table_goes_by_transience_then_status() {
    assert_eq!(classify(Some(77), None, false, 400, Use::Write), Class::Invalid);
    assert_eq!(classify(Some(77), None, true, 400, Use::Write), Class::Unknown);
    assert_eq!(classify(Some(77), None, true, 400, Use::Read), Class::Retry);
    assert_eq!(classify(Some(77), None, false, 500, Use::Write), Class::Unknown);
    assert_eq!(classify(None, None, false, 502, Use::Write), Class::Unknown);
    assert_eq!(classify(None, None, false, 502, Use::Read), Class::Retry);
    assert_eq!(classify(None, None, false, 302, Use::Write), Class::Unknown);
    assert_eq!(classify(None, None, false, 404, Use::Write), Class::Invalid);
    assert_eq!(classify(None, None, false, 429, Use::Write), Class::Limited(Scope::Account));
}

#[test]
fn a_send_is_only_retried_when_it_cannot_have_left() {
    let class = |failure, purpose| GraphError::without_answer(failure, purpose).class;
    assert_eq!(class(Failure::Connect, Use::Write), Class::Retry);
    for failure in [Failure::Timeout, Failure::Broken, Failure::TooLarge, Failure::Unreadable] {
        assert_eq!(class(failure, Use::Write), Class::Unknown, "{failure:?}");
        assert_eq!(class(failure, Use::Read), Class::Retry, "{failure:?}");
    }
}

#[test]
fn an_error_never_quotes_what_meta_wrote() {
    let body = json!({"error": {"message": "secret words", "code": 10, "error_subcode": 2_534_022, "fbtrace_id": "A1"}});
    let error = GraphError::of_answer(403, body.to_string().as_bytes(), Use::Write).unwrap();
    let text = error.to_string();
    assert!(!text.contains("secret"), "{text}");
    assert!(text.contains("code 10, subcode 2534022, HTTP 403, fbtrace A1"), "{text}");
    let html = GraphError::of_answer(502, b"<html>", Use::Read).unwrap();
    assert_eq!((html.class, html.code), (Class::Retry, None));
    // An error body under 200 is an error all the same.
    assert!(GraphError::of_answer(200, br#"{"error":{"code":190}}"#, Use::Read).is_some());
    assert!(GraphError::of_answer(200, b"{}", Use::Read).is_none());
}

#[test]
fn each_member_of_an_error_is_read_by_itself() {
    let limited = Class::Limited(Scope::Account);
    let cases = [
        (400, r#"{"error":{"code":613,"is_transient":null}}"#, limited),
        (400, r#"{"error":{"code":"613","error_subcode":"","fbtrace_id":7}}"#, limited),
        (
            400,
            r#"{"error":{"message":["\ud83d"],"code":613,"error_subcode":{},"fbtrace_id":null}}"#,
            limited,
        ),
        (400, r#"{"error":{"code":"190","is_transient":"no"}}"#, Class::Account),
        (400, r#"{"error":{"code":100,"error_subcode":"33"}}"#, Class::Recipient),
        // An error is one under any status.
        (200, r#"{"error":{"code":613,"is_transient":null}}"#, limited),
        (200, r#"{"error":{"code":"190"},"success":true}"#, Class::Account),
        (200, r#"{"error":{}}"#, Class::Unknown),
        (200, r#"{"error":"something went wrong"}"#, Class::Unknown),
        (400, r#"{"error":"something went wrong"}"#, Class::Invalid),
        (500, r#"{"error":[]}"#, Class::Unknown),
        (400, r#"{"error":{"is_transient":"true"}}"#, Class::Unknown),
    ];
    for (status, body, class) in cases {
        let error = GraphError::of_answer(status, body.as_bytes(), Use::Write).expect(body);
        assert_eq!(error.class, class, "{body}");
    }
    let trace =
        GraphError::of_answer(400, br#"{"error":{"code":1,"fbtrace_id":7}}"#, Use::Write).unwrap();
    assert_eq!(trace.fbtrace_id.as_deref(), Some("7"));
    for good in [r#"{"error":null,"id":"1"}"#, r#"{"error":false}"#, r#"{"id":"1"}"#, "[]", ""] {
        assert_eq!(GraphError::of_answer(200, good.as_bytes(), Use::Write), None, "{good}");
    }
}
