//! Codes, tokens and links are in nothing that the processes wrote.

use std::path::Path;

use sqlx::AssertSqlSafe;
use tests::Lab;

/// Looks for everything that Meta gave out, and for `more`, in all logs and in all rows of the database.
pub(super) async fn are_nowhere(lab: &Lab, more: &[&str]) {
    let mut secrets = lab.simulator.given_secrets();
    secrets.extend(more.iter().map(|secret| (*secret).to_owned()));
    assert!(secrets.len() > more.len(), "Meta gave something out");
    let mut files = Vec::new();
    collect(lab.folder(), &mut files);
    assert!(files.iter().any(|file| file.extension().is_some_and(|end| end == "log")));
    for file in files {
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            // Roles still run, and take files away.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{}: {error}", file.display()),
        };
        nothing_in(&bytes, &secrets, &file.display().to_string());
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "worker.connections"));
    for table in tables {
        let sql = AssertSqlSafe(format!("select t::text from {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(lab.pool()).await.unwrap();
        nothing_in(&rows.join("\n"), &secrets, &table);
    }
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            // What the browser keeps is the person's own.
            kind if kind.is_dir() && entry.file_name() != "chromium" => {
                collect(&entry.path(), files)
            }
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn nothing_in(text: &str, secrets: &[String], place: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "a secret `{}…` stands in {place}", &secret[..6]);
        assert!(
            !text.contains(&hex::encode(secret)),
            "a secret `{}…` stands in {place}",
            &secret[..6]
        );
    }
}
