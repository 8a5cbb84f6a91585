//! `hookline up --simulate` as somebody tries it first: an empty folder, no variable set.

use std::time::{Duration, Instant};

use tests::lab::signal;
use tests::up::Folder;
use tests::{Api, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_try_shows_names_resolved_senders_and_one_automatic_reply_each() {
    let folder = Folder::new("up");
    let began = Instant::now();
    let mut child = folder.up(&["--simulate"], &[]).await;
    let env = folder.env();
    let api = Api::new(env["HOOKLINE_API_URL"].clone(), &env["HOOKLINE_API_TOKEN"]);
    eventually(
        "a demo conversation has a real name and an answer",
        Duration::from_secs(60),
        async || {
            let conversations = api.conversations().await;
            let named = conversations.iter().any(|c| {
                c["contact"]["name"].is_string()
                    && c["contact"]["name"] != c["contact"]["placeholder"]
            });
            let mut answered = false;
            let mut resolved = false;
            for conversation in &conversations {
                for message in api.messages(conversation["id"].as_str().unwrap()).await {
                    answered |= message["sent_by"] == "api";
                }
            }
            let simulator = api
                .http
                .get(format!("{}/received", env["HOOKLINE_SIMULATOR_URL"]))
                .send()
                .await
                .unwrap();
            let received: serde_json::Value = simulator.json().await.unwrap();
            resolved |=
                !conversations.is_empty() && received.to_string().contains("Thanks for writing");
            if named && answered && resolved {
                Ok(())
            } else {
                Err(format!("named {named}, answered {answered}, received {resolved}"))
            }
        },
    )
    .await;
    assert!(began.elapsed() < Duration::from_secs(75), "{:?}", began.elapsed());

    // Verbs in the same folder find it.
    for verb in [&["status"][..], &["doctor"], &["accounts", "list"], &["accounts", "check"]] {
        let (code, text) = folder.verb(verb, &[]).await;
        assert_eq!(code, 0, "{verb:?}: {text}");
    }
    // A second one in the same folder is refused.
    assert_eq!(folder.verb(&["up"], &[]).await.0, 3);

    // Killed hard, it starts again over what it left behind; stopped, it exits 0 and its children are gone.
    let before = api.conversations().await.len();
    child.kill().await.unwrap();
    let mut child = folder.up(&["--simulate"], &[]).await;
    let env = folder.env();
    let api = Api::new(env["HOOKLINE_API_URL"].clone(), &env["HOOKLINE_API_TOKEN"]);
    assert!(api.conversations().await.len() >= before, "data is kept");
    signal(child.id().unwrap(), rustix::process::Signal::INT);
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait())
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(!folder.path().join(".hookline/env").exists());
}
