//! The inbox API as a client sees it, who knows its description and nothing else.

use std::time::Duration;

use serde_json::Value;
use tests::body::{IG, PAGE, body, entry, now, text};
use tests::lab::API_TOKEN;
use tests::{Api, Lab, LabOptions, eventually};

mod access;
mod acts;
mod asked;
mod based_on;
mod cable;
mod callers;
mod comments;
mod conversions;
mod figures;
mod importing;
mod listeners;
mod live;
mod log;
mod media;
mod ops;
mod outages;
mod paging;
mod people;
mod redrive;
mod replies;
mod search;
mod settle;
mod shapes;
mod templates;

/// May read only.
const READER: &str = "token-of-the-reader";
/// A program that may write.
const ROBOT: &str = "token-of-the-robot";
/// A person by default, without a name.
const PLAIN: &str = "token-without-name";

/// Everything runs, with tokens of every kind; the accounts have no Graph behind them.
async fn lab() -> Lab {
    let lab = lab_without_accounts().await;
    add_accounts(&lab).await;
    lab
}

async fn add_accounts(lab: &Lab) {
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &["--name", "Lumen"]).await;
    lab.add_account("messenger", "facebook", PAGE, "no-graph-needed", &[]).await;
}

async fn lab_without_accounts() -> Lab {
    let mut lab = Lab::start().await;
    set_tokens(&mut lab);
    lab.run_all().await;
    lab
}

/// The same without accounts, with a process for each role, on servers as wished.
async fn lab_apart(options: LabOptions) -> Lab {
    let mut lab = Lab::start_with(options).await;
    set_tokens(&mut lab);
    lab.run_apart().await;
    lab
}

fn set_tokens(lab: &mut Lab) {
    let tokens = format!(
        "tester={API_TOKEN}:admin:person, reader={READER}:read, robot={ROBOT}:automation, {PLAIN}"
    );
    lab.set("API_TOKENS", &tokens);
}

/// The same user with another token.
fn with_token(api: &Api, token: &str) -> Api {
    Api { token: token.to_owned(), ..api.clone() }
}

fn person(n: usize) -> String {
    format!("52000000000{n:05}")
}

/// Posts items of one account in one webhook.
async fn webhook(lab: &Lab, account: &str, items: &[Value]) {
    let (object, path) = if account == IG {
        ("instagram", "/webhooks/instagram")
    } else {
        ("page", "/webhooks/facebook")
    };
    let posted = body(object, &[entry(account, now(), items)]);
    assert_eq!(lab.meta().post(path, &posted).await, 200);
}

/// A person writes; the conversation's id once it shows.
async fn written(lab: &Lab, account: &str, n: usize, words: &str) -> String {
    let mid = format!("mid.{account}.{n}.{words}");
    webhook(lab, account, &[text(account, &person(n), &mid, now(), words)]).await;
    conversation_of(lab, account, &person(n)).await
}

async fn conversation_of(lab: &Lab, account: &str, contact: &str) -> String {
    let api = lab.api();
    eventually("the conversation shows", Duration::from_secs(20), async || {
        let (status, page) =
            api.get(&format!("/v1/conversations?account_id={account}&q={contact}")).await;
        let found = page["conversations"][0]["id"].as_str().map(str::to_owned);
        found.ok_or_else(|| format!("{status} {page}"))
    })
    .await
}

/// A problem document (RFC 9457) with this status and code.
fn is_problem(answer: &(u16, Value), status: u16, code: &str) {
    let (got, body) = answer;
    assert_eq!((*got, &body["code"]), (status, &code.into()), "{body}");
    assert_eq!(body["status"], status, "{body}");
    for field in ["type", "title", "detail"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "`{field}`: {body}");
    }
}

/// The fields of an object, in alphabetical order.
fn fields(object: &Value) -> Vec<&str> {
    let object = object.as_object().unwrap_or_else(|| panic!("no object: {object}"));
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Exactly these fields.
fn has_fields(object: &Value, expected: &str) {
    let mut expected: Vec<&str> = expected.split_whitespace().collect();
    expected.sort_unstable();
    assert_eq!(fields(object), expected, "{object}");
}

/// RFC 3339 in UTC with milliseconds.
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let time = chrono::DateTime::parse_from_rfc3339(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(time.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true), text);
}
