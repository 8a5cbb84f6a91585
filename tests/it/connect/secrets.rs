//! Codes, tokens and links are in nothing that the processes wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tests::Lab;

/// Looks for everything that Meta gave out, and for `more`, in all logs, in all rows of the database, and in all messages of all streams.
pub(super) async fn are_nowhere(lab: &Lab, more: &[&str]) {
    let mut secrets = lab.simulator.given_secrets();
    secrets.extend(more.iter().map(|secret| (*secret).to_owned()));
    assert!(secrets.len() > more.len(), "Meta gave something out");
    let logs = read_all(lab.folder());
    assert!(logs.keys().any(|file| file.extension().is_some_and(|end| end == "log")));
    for (file, bytes) in logs {
        nothing_in(&bytes, &secrets, &file.display().to_string());
    }
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let places = lab.places_of(&secrets).await;
    // Without what stands there: that has the secret.
    let names: Vec<_> = places.iter().filter_map(|place| place.split(": ").next()).collect();
    assert!(names.is_empty(), "a secret stands in {names:?}");
}

/// The same in the files of servers that the lab has for itself: tables, indexes and the write-ahead log of Postgres, stores of the streams.
pub(super) async fn are_not_on_the_disk(lab: &Lab) {
    sqlx::query("checkpoint").execute(lab.pool()).await.unwrap();
    let secrets = lab.simulator.given_secrets();
    let files = read_all(lab.data_folder());
    let of = |name: &str| files.keys().filter(|file| file.to_string_lossy().contains(name)).count();
    assert!(of("pg_wal") > 0 && of("META_RAW") > 0, "{:?}", lab.data_folder());
    for (file, bytes) in files {
        nothing_in(&bytes, &secrets, &file.display().to_string());
    }
}

/// All files below a folder. Roles still run, and take files away.
fn read_all(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = Vec::new();
    collect(folder, &mut files);
    let read = |file: PathBuf| match std::fs::read(&file) {
        Ok(bytes) => Some((file, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", file.display()),
    };
    files.into_iter().filter_map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("{}: {error}", folder.display()),
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            // What the browser keeps is the person's own.
            Ok(kind) if kind.is_dir() && entry.file_name() != "chromium" => {
                collect(&entry.path(), files);
            }
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn nothing_in(bytes: &[u8], secrets: &[String], place: &str) {
    // Bytes that are no text become marks, which no secret has.
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        let in_hex = hex::encode(secret);
        let is_there = text.contains(secret.as_str()) || text.contains(&in_hex);
        assert!(!is_there, "a secret `{}…` stands in {place}", &secret[..6]);
    }
}
