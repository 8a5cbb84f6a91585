//! `hookline up` in a folder of its own, as somebody tries it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::binary::hookline_binary;

/// An empty folder that goes with the test, and stays where the test fails.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hookline-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What `up` logs.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.0.join("up.log")).unwrap_or_default()
    }

    /// The address that `up` printed behind this word.
    pub fn address(&self, word: &str) -> String {
        let said = std::fs::read_to_string(self.0.join("up.out")).unwrap_or_default();
        let mut lines = said.lines().map(str::split_whitespace);
        let found = lines
            .find_map(|mut words| words.next().filter(|first| *first == word).and(words.next()));
        found.unwrap_or_else(|| panic!("no `{word}` in: {said}")).to_owned()
    }

    /// What `up` wrote for others.
    pub fn env(&self) -> BTreeMap<String, String> {
        std::fs::read_to_string(self.0.join(".hookline/env"))
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect()
    }

    /// Starts `hookline up` and waits until it says where to look.
    pub async fn up(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut child = Command::new(hookline_binary())
            .arg("up")
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            // It may be neither on PATH nor near this folder.
            .env("HOOKLINE_NATS_SERVER", servers::binaries::nats_server().unwrap())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(self.0.join("up.log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let shown = async {
            let mut said = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                said += &line;
                said.push('\n');
                std::fs::write(self.0.join("up.out"), &said).unwrap();
                if line.starts_with("Look here:") {
                    return true;
                }
            }
            false
        };
        let shown = tokio::time::timeout(Duration::from_secs(90), shown).await;
        assert!(matches!(shown, Ok(true)), "`up` did not say where to look: {}", self.log());
        child
    }

    /// Runs a verb in this folder; exit code, and both outputs.
    pub async fn verb(&self, words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        let output = Command::new(hookline_binary())
            .args(words)
            .current_dir(&self.0)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what it did is kept in {}", self.0.display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
