//! `hookline health` ends as `/readyz` answers: for containers that have no HTTP client.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

/// Exit code and both outputs of `hookline health`.
fn health(admin: &str, words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hookline"))
        .arg("health")
        .args(words)
        .env_clear()
        .env("ADMIN_LISTEN", admin)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Answers each request with the next of these, on a port of its own.
fn answering(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for (answer, stream) in answers.iter().zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let (status, body) = answer.split_once('|').unwrap();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

#[test]
fn health_ends_as_readyz_answers() {
    let address = answering(&[
        r#"200 OK|{"status":"ready"}"#,
        r#"503 Service Unavailable|{"status":"not_ready","reasons":{"nats":"not connected yet"}}"#,
        "200 OK|<p>somebody else</p>",
    ]);
    assert_eq!(health(&address, &[]), (0, "ready\n".to_owned(), String::new()));
    let (code, out, err) = health(&address, &[]);
    assert!(
        code == 1 && out == "not_ready\n" && err.contains("not connected yet"),
        "{code}: {out}{err}"
    );
    assert_eq!(health(&address, &[]).0, 4, "another program");
    let (code, out, err) = health(&address, &["--at", "127.0.0.1:1"]);
    assert!(code == 4 && out.is_empty() && err.lines().count() == 1, "{code}: {out}{err}");
}
