//! The binary from outside, without any server.
#![allow(clippy::unwrap_used)]

use std::process::Command;

fn hookline(arguments: &[&str]) -> (i32, String, String) {
    let folder = std::env::temp_dir().join(format!("hookline-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hookline"))
        .args(arguments)
        .env_clear()
        .current_dir(&folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn usage_errors_exit_2_and_help_exits_0() {
    assert_eq!(hookline(&["sing"]).0, 2);
    assert_eq!(hookline(&["accounts", "add", "--channel", "telegram"]).0, 2);
    let (code, out, _) = hookline(&["--help"]);
    assert_eq!(code, 0);
    for verb in
        ["up", "ingest", "worker", "projector", "api", "simulate", "accounts", "status", "doctor"]
    {
        assert!(out.contains(verb), "{verb} is missing in:\n{out}");
    }
}

#[test]
fn a_verb_without_variables_and_without_a_live_up_exits_4_and_says_so() {
    for verb in [&["status"][..], &["doctor"], &["accounts", "list"], &["rebuild"], &["verify"]] {
        let (code, _, err) = hookline(verb);
        assert_eq!(code, 4, "{verb:?}: {err}");
        assert!(err.contains("hookline up"), "{verb:?}: {err}");
    }
}

#[test]
fn wrong_values_stop_the_start_with_one_line_naming_the_variable() {
    let output = Command::new(env!("CARGO_BIN_EXE_hookline"))
        .arg("ingest")
        .env_clear()
        .envs([
            ("NATS_URL", "nats://127.0.0.1:1"),
            ("META_APP_SECRETS", "very-secret-thing"),
            ("META_VERIFY_TOKENS", "t"),
            ("INGEST_MAX_BODY", "large"),
        ])
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.lines().count() == 1 && err.contains("INGEST_MAX_BODY"), "{err}");
    assert!(!err.contains("very-secret-thing"));
}
