//! The words of the command line: every verb explains itself, and whoever changes something can try it dry.
#![allow(clippy::unwrap_used)]

use clap::{Command, CommandFactory};

/// Verbs that change nothing, or that are roles: they need no `--dry-run`.
const ONLY_LOOK: &[&str] = &[
    "up",
    "ingest",
    "worker",
    "projector",
    "api",
    "ops",
    "simulate",
    "status",
    "doctor",
    "health",
    "explain",
    "trace",
    "audit",
    "completions",
    "man",
    "verify",
    "list",
    "show",
    "check",
    "plan",
];
/// Verbs whose output is not a result: roles, and text for shells and pagers.
const NO_OUTPUT: &[&str] =
    &["up", "ingest", "worker", "projector", "api", "ops", "simulate", "completions", "man"];
/// Verbs that need no page of their own: roles and what explains itself.
const NO_RUNBOOK: &[&str] = &[
    "up",
    "ingest",
    "worker",
    "projector",
    "api",
    "ops",
    "simulate",
    "completions",
    "man",
    "audit",
    "health",
    "help",
];

fn walk(path: &str, command: &Command, wrong: &mut Vec<String>) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if about.is_empty() || about.len() > 120 || about.contains('\n') {
        wrong.push(format!("{path}: has no short description"));
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if !after.contains("Example") || !after.contains("hookline ") {
        wrong.push(format!("{path}: has no example"));
    }
    let name = command.get_name();
    let has =
        |option: &str| command.get_arguments().any(|argument| argument.get_long() == Some(option));
    let mut leaf = true;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        leaf = false;
        walk(&format!("{path} {}", sub.get_name()), sub, wrong);
    }
    if leaf && !NO_OUTPUT.contains(&name) && !has("output") {
        wrong.push(format!("{path}: has no --output"));
    }
    if leaf && !ONLY_LOOK.contains(&name) && !has("dry-run") {
        wrong.push(format!("{path}: changes something and has no --dry-run"));
    }
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if argument.get_help().is_none() {
            wrong.push(format!("{path}: {} is not explained", argument.get_id()));
        }
    }
}

#[test]
fn every_verb_has_a_description_an_example_and_a_dry_run() {
    let mut command = hookline::Arguments::command();
    command.build();
    let mut wrong = Vec::new();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        walk(&format!("hookline {}", verb.get_name()), verb, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_operators_verb_has_a_runbook_that_says_symptom_check_do_and_undo() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/runbooks");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let command = hookline::Arguments::command();
    let mut wrong = Vec::new();
    for verb in command.get_subcommands().map(Command::get_name) {
        if NO_RUNBOOK.contains(&verb) {
            continue;
        }
        let page = format!("{verb}.md");
        match std::fs::read_to_string(folder.join(&page)) {
            Err(_) => wrong.push(format!("{page} is missing")),
            Ok(text) => {
                for word in ["Symptom", "Check", "Do", "Undo"] {
                    if !text.lines().any(|line| line.trim_start_matches('#').trim() == word) {
                        wrong.push(format!("{page}: no part `{word}`"));
                    }
                }
                if !index.contains(&format!("({page})")) {
                    wrong.push(format!("README.md does not lead to {page}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn completions_and_pages_know_every_verb() {
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hookline"))
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let command = hookline::Arguments::command();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = run(&["completions", shell]);
        for verb in command.get_subcommands().map(Command::get_name) {
            assert!(text.contains(verb), "{shell} does not know {verb}");
        }
    }
    let page = run(&["man"]);
    assert!(page.contains(".TH") && page.contains("trace"), "{page}");
    let folder = std::env::temp_dir().join(format!("hookline-man-{}", std::process::id()));
    run(&["man", "--dir", folder.to_str().unwrap()]);
    for file in ["hookline.1", "hookline-trace.1", "hookline-redrive-run.1"] {
        assert!(folder.join(file).exists(), "{file} is missing");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
