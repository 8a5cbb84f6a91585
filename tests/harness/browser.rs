//! A real browser: Chromium without a window, driven by its own driver over the WebDriver protocol.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::client::{eventually, http};
use crate::lab::free_address;

/// Where the driver is looked for; `HOOKLINE_CHROMEDRIVER` wins.
const PLACES: [&str; 3] =
    ["/usr/bin/chromedriver", "/usr/lib/chromium/chromedriver", "/opt/homebrew/bin/chromedriver"];
const CONTROL: char = '\u{e009}';
/// Enter with the control key, as the protocol writes it.
pub const CONTROL_ENTER: &str = "\u{e009}\u{e007}";
/// The key of an element in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window; gone with the value.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Child,
}

impl Drop for Browser {
    /// The driver leads a group of its own, which Chromium is in.
    fn drop(&mut self) {
        if let Some(id) = self.driver.id() {
            let _ =
                std::process::Command::new("kill").args(["-9", "--", &format!("-{id}")]).status();
        }
    }
}

fn driver() -> PathBuf {
    let given = std::env::var_os("HOOKLINE_CHROMEDRIVER").map(PathBuf::from);
    let there = PLACES.map(PathBuf::from).into_iter().find(|path| path.exists());
    given.or(there).expect("no chromedriver: run deploy/dev/setup.sh, or set HOOKLINE_CHROMEDRIVER")
}

impl Browser {
    /// Starts one that keeps its files in `folder`.
    pub async fn start(folder: &Path) -> Self {
        let port = free_address().port();
        let log = std::fs::File::create(folder.join("chromedriver.log")).unwrap();
        let driver = Command::new(driver())
            .arg(format!("--port={port}"))
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let http = http(Duration::from_secs(120));
        let root = format!("http://127.0.0.1:{port}");
        eventually("the driver listens", Duration::from_secs(60), async || {
            http.get(format!("{root}/status"))
                .send()
                .await
                .map(|_| ())
                .map_err(|error| error.to_string())
        })
        .await;
        // Root may not use its sandbox, and a container has little shared memory.
        let profile = format!("--user-data-dir={}", folder.join("chromium").display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            &profile,
        ];
        let asked = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}}});
        let answer = http.post(format!("{root}/session")).json(&asked).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let session = format!("{root}/session/{id}");
        Self { http, session, driver }
    }

    async fn ask(&self, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.session);
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["value"].clone()
    }

    /// Types an address.
    pub async fn open(&self, url: &str) {
        let answer = self.ask("/url", Some(json!({"url": url}))).await;
        assert!(answer["error"].is_null(), "{url}: {answer}");
    }

    /// Clicks what a selector finds, once it is there.
    pub async fn click(&self, selector: &str) {
        eventually(&format!("clicks {selector}"), Duration::from_secs(60), async || {
            let found = self
                .ask("/element", Some(json!({"using": "css selector", "value": selector})))
                .await;
            let Some(id) = found[ELEMENT].as_str() else { return Err(found["error"].to_string()) };
            let clicked = self.ask(&format!("/element/{id}/click"), Some(json!({}))).await;
            match clicked["error"].as_str() {
                None => Ok(()),
                Some(error) => Err(error.to_owned()),
            }
        })
        .await;
    }

    /// Presses keys, as a person does who has no mouse. Those of the protocol, such as [`CONTROL_ENTER`], hold a modifier until the end.
    pub async fn types(&self, keys: &str) {
        let key = |kind: &str, key: char| json!({"type": kind, "value": key.to_string()});
        let (mut actions, mut held) = (Vec::new(), Vec::new());
        for pressed in keys.chars() {
            actions.push(key("keyDown", pressed));
            match pressed {
                CONTROL => held.push(pressed),
                _ => actions.push(key("keyUp", pressed)),
            }
        }
        actions.extend(held.into_iter().map(|modifier| key("keyUp", modifier)));
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        let answer = self.ask("/actions", Some(json!({"actions": [keyboard]}))).await;
        assert!(answer["error"].is_null(), "{answer}");
    }

    /// Waits until the page shows these words.
    pub async fn shows(&self, words: &str) {
        eventually(&format!("the page shows `{words}`"), Duration::from_secs(60), async || {
            let text = self.text().await;
            if text.contains(words) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Waits until the page has this title.
    pub async fn titled(&self, title: &str) {
        eventually(&format!("a page `{title}`"), Duration::from_secs(60), async || {
            let shown = self.ask("/title", None).await;
            if shown == title { Ok(()) } else { Err(format!("{shown}: {}", self.text().await)) }
        })
        .await;
    }

    /// The text of one part of the page, or what stands in a field.
    pub async fn text_of(&self, selector: &str) -> String {
        let script = "const one = document.querySelector(arguments[0]); return one?.value ?? one?.innerText ?? ''";
        let answer =
            self.ask("/execute/sync", Some(json!({"script": script, "args": [selector]}))).await;
        answer.as_str().unwrap_or_default().to_owned()
    }

    /// The text of the page, as a person reads it.
    pub async fn text(&self) -> String {
        let script = json!({"script": "return document.body.innerText", "args": []});
        self.ask("/execute/sync", Some(script)).await.as_str().unwrap_or_default().to_owned()
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        self.ask("/url", None).await.as_str().unwrap_or_default().to_owned()
    }

    /// Closes it in order: Chromium ends with its driver's session.
    pub async fn close(self) {
        let _ = self.http.delete(&self.session).send().await;
    }
}
