//! `hookline up --simulate` as somebody tries it first: an empty folder, no variable set.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::lab::{hookline_binary, signal};
use tests::{Api, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

async fn up(folder: &std::path::Path) -> (Child, BTreeMap<String, String>) {
    let mut child = Command::new(hookline_binary())
        .args(["up", "--simulate"])
        .current_dir(folder)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("up.log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("Look here:") {
                return true;
            }
        }
        false
    };
    let told = tokio::time::timeout(Duration::from_secs(90), told).await;
    let log = std::fs::read_to_string(folder.join("up.log")).unwrap_or_default();
    assert!(matches!(told, Ok(true)), "`up` did not say where to look: {log}");
    let env = dotenvy_pairs(&std::fs::read_to_string(folder.join(".hookline/env")).unwrap());
    (child, env)
}

fn dotenvy_pairs(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_try_shows_names_resolved_senders_and_one_automatic_reply_each() {
    let folder = std::env::temp_dir().join(format!("hookline-up-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let began = Instant::now();
    let (mut child, env) = up(&folder).await;
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
        let output = Command::new(hookline_binary())
            .args(verb)
            .current_dir(&folder)
            .env_clear()
            .output()
            .await
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{verb:?}: {out}{err}");
    }
    // A second one in the same folder is refused.
    let second = Command::new(hookline_binary())
        .arg("up")
        .current_dir(&folder)
        .env_clear()
        .output()
        .await
        .unwrap();
    assert_eq!(second.status.code(), Some(3));

    // Killed hard, it starts again over what it left behind; stopped, it exits 0 and its children are gone.
    let before = api.conversations().await.len();
    child.kill().await.unwrap();
    let (mut child, env) = up(&folder).await;
    let api = Api::new(env["HOOKLINE_API_URL"].clone(), &env["HOOKLINE_API_TOKEN"]);
    assert!(api.conversations().await.len() >= before, "data is kept");
    signal(child.id().unwrap(), rustix::process::Signal::INT);
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait())
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(!folder.join(".hookline/env").exists());
    let _ = std::fs::remove_dir_all(&folder);
}
