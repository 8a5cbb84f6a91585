//! The console in a real browser, as a first visitor uses it: from the address that `up` prints to a person who was answered, by keyboard.

use std::time::Duration;

use tests::browser::{Browser, CONTROL_ENTER};
use tests::client::holds;
use tests::up::Folder;
use tests::{Api, eventually};

const WORDS: &str = "Yes, and now I am typing n, r and i";

#[tokio::test(flavor = "multi_thread")]
async fn a_first_visitor_answers_a_person_by_keyboard() {
    let folder = Folder::new("console");
    let _up = folder.up(&["--simulate"], &[]).await;
    let env = folder.env();
    let api = Api::new(env["HOOKLINE_API_URL"].clone(), &env["HOOKLINE_API_TOKEN"]);
    let address = folder.address("console");
    let (_, code) = address.split_once("#session=").expect("a one-time link");

    let browser = Browser::start(folder.path()).await;
    browser.open(&address).await;
    browser.titled("Inbox · hookline").await;
    assert!(!browser.url().await.contains(code), "the code is out of the address");
    // People write by themselves.
    browser.shows("min left").await;
    browser.types("n").await;
    browser.titled("Conversation · hookline").await;
    browser.shows("The window is open").await;
    browser.types("r").await;
    browser.types(WORDS).await;
    browser.types(CONTROL_ENTER).await;

    let url = browser.url().await;
    let conversation = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    eventually("the message is sent, once", Duration::from_secs(60), async || {
        let messages = api.messages(&conversation).await;
        let ours: Vec<_> = messages.iter().filter(|message| message["text"] == WORDS).collect();
        holds(ours.len() == 1 && ours[0]["sent_by"] == "api", || format!("{messages:?}"))
    })
    .await;
    eventually("it shows as sent, and the field is empty", Duration::from_secs(60), async || {
        let log = browser.text_of("[role=log]").await;
        let left = browser.text_of("#answer").await;
        let once = log.matches(WORDS).count() == 1 && !log.contains("Queued");
        holds(once && left.is_empty(), || format!("left {left:?}: {log}"))
    })
    .await;
    browser.close().await;
}
