//! The answers of the fixtures.

use serde_json::value::RawValue;

use super::*;
use crate::error::{GraphError, Use};
use crate::oauth::OAuthError;

fn body(name: &str) -> (u16, Vec<u8>) {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/meta/graph2");
    let text = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    #[derive(serde::Deserialize)]
    struct Fixture {
        response: Response,
    }
    #[derive(serde::Deserialize)]
    struct Response {
        status: u16,
        body: Box<RawValue>,
    }
    let fixture: Fixture = serde_json::from_slice(&text).unwrap();
    (fixture.response.status, fixture.response.body.get().as_bytes().to_vec())
}

fn answer(name: &str) -> Value {
    let (status, body) = body(name);
    crate::response::read(status, &body, Use::Read).unwrap()
}

#[test]
fn both_forms_of_a_code_are_read_and_no_id_is_rounded() {
    let data = code_grant(&answer("oauth-ig-code-ok-data")).unwrap();
    assert_eq!(data.user_id.as_deref(), Some("25500000000000101"));
    assert_eq!(data.permissions.len(), 4);
    let flat = code_grant(&answer("oauth-ig-code-ok-flat")).unwrap();
    assert_eq!(flat.user_id.as_deref(), Some("17841400000000101"));
    assert_eq!(
        flat.permissions,
        ["instagram_business_basic", "instagram_business_manage_messages"]
    );
    assert_eq!(flat.token, data.token);
    assert!(!format!("{flat:?}").contains("FIXTURE"));
}

#[test]
fn refusals_of_a_code_say_what_to_do() {
    let (status, used) = body("oauth-ig-code-used");
    let words = instagram_refusal(status, &used).unwrap();
    assert!(words.starts_with("Matching code"), "{words}");
    let of = |name: &str| {
        let (status, body) = body(name);
        OAuthError::of(GraphError::of_answer(status, &body, Use::Read).unwrap())
    };
    assert_eq!(of("oauth-fb-code-used"), OAuthError::CodeUsed);
    assert_eq!(of("oauth-fb-redirect-mismatch"), OAuthError::Redirect);
}

#[test]
fn a_long_token_has_an_end_and_an_owner_two_ids() {
    let now = Timestamp::from_millis(1_000);
    let token = given_token(&answer("token-ig-long-ok"), now).unwrap();
    assert_eq!(token.ends, Some(Timestamp::from_millis(1_000 + 5_183_944_000)));
    assert_eq!(
        given_token(&answer("oauth-fb-code-ok"), now).unwrap().ends.unwrap().as_millis(),
        5_111_000
    );
    let owner = owner(&answer("me-ig-ids")).unwrap();
    assert_eq!(owner.account.as_deref(), Some("17841400000000101"));
    assert_eq!(owner.app_scoped.as_deref(), Some("25500000000000101"));
    assert!(owner.professional);
}

#[test]
fn pages_come_with_their_instagram_account_and_what_the_person_may_do() {
    let answer = answer("accounts-page-next");
    let pages: Vec<Page> = list(answer.get("data")).filter_map(page).collect();
    assert_eq!(pages[0].instagram.as_ref().unwrap().0, "17841400000000101");
    assert!(pages[0].may("MESSAGING") && !pages[1].may("MESSAGING"));
    assert_eq!(crate::reads::next(&answer, None).as_deref(), Some("FIXTURE_AFTER_1"));
}

#[test]
fn no_target_ids_means_all_pages() {
    let some = token_info(&answer("debug-token-ok"));
    assert_eq!((some.pages.len(), some.person.as_deref()), (1, Some("990000000000777")));
    let all = token_info(&answer("debug-token-granular-all"));
    assert!(all.pages.is_empty() && all.has("business_management"));
}
