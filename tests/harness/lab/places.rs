//! Where words are: in rows, in messages of streams, in files.

use std::path::Path;
use std::process::Command;

use runtime::streams::StreamName;

use super::Lab;

impl Lab {
    /// Where one of these words is, as text in any case or as bytes in hex: `schema.table: row` of all tables, and `STREAM: message` of all
    /// streams, with subject and headers.
    pub async fn places_of(&self, words: &[&str]) -> Vec<String> {
        let hexed = words.iter().map(hex::encode);
        let sought: Vec<String> =
            words.iter().map(|word| word.to_lowercase()).chain(hexed).collect();
        let has = |text: &str| {
            let text = text.to_lowercase();
            sought.iter().any(|word| text.contains(word.as_str()))
        };
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname !~ '^(pg_|information_schema$)'",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert!(tables.iter().any(|table| table == "worker.connections"), "{tables:?}");
        let mut found = Vec::new();
        for table in tables {
            let sql = sqlx::AssertSqlSafe(format!("select t::text from {table} t"));
            let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap();
            let rows = rows.into_iter().filter(|row| has(row));
            found.extend(rows.map(|row| format!("{table}: {row}")));
        }
        for stream in StreamName::ALL.map(StreamName::as_str) {
            for message in self.messages(stream).await {
                let body = String::from_utf8_lossy(&message.payload);
                let text = format!("{} {:?} {body}", message.subject, message.headers);
                if has(&text) {
                    found.push(format!("{stream}: {text}"));
                }
            }
        }
        found
    }
}

/// The files below a folder in which one of these words is, as text or as bytes in hex.
pub fn files_with(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.env("LC_ALL", "C").arg("-rlaF");
    for word in words {
        grep.args(["-e", word, "-e", &hex::encode(word)]);
    }
    let done = grep.arg(folder).output().unwrap();
    let errors = String::from_utf8(done.stderr).unwrap();
    // Servers still run, and take files away.
    let is_gone = |line: &str| line.ends_with(": No such file or directory");
    assert!(folder.is_dir() && errors.lines().all(is_gone), "{}: {errors}", folder.display());
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}
