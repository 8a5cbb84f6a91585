//! Today against every release of this major version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemas::{Command, Event};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bundle::{self, Of, members};
use crate::contains::contains;
use crate::openapi;

/// What a release does not promise, each with the reason. `commands`: they are in no bundle, since whoever published one got the outcome
/// `unsupported`. `operations`: routes of its OpenAPI.
const LEFT_OUT: &str = "left_out.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

pub(crate) fn json(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of `schemas/released`.
pub(crate) fn releases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("released")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    assert!(!folders.is_empty(), "nothing is released: `make release-schemas VERSION=1.0`");
    folders
}

/// The JSON files of a folder by name.
fn files(folder: &Path) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), json(&path)))
        .collect()
}

fn today(name: &str) -> Value {
    json(&root().join("json").join(name))
}

fn today_api() -> Value {
    // As the api serves it: its own tests keep this copy.
    json(&root().join("../console/src/api/openapi.json"))
}

/// The operations that a release leaves out, as method and path.
fn operations_left_out(release: &Path) -> Vec<(String, String)> {
    let left_out = json(&release.join(LEFT_OUT));
    let names = left_out["operations"].as_object().unwrap().keys();
    let split = |name: &String| name.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    names.map(|name| split(name).unwrap()).collect()
}

/// The api as a release promises it.
fn promised_api(release: &Path) -> Value {
    let mut api = json(&release.join("openapi.json"));
    for (method, path) in operations_left_out(release) {
        let gone = api["paths"][&path].as_object_mut().unwrap().remove(&method);
        assert!(gone.is_some(), "{} has no {method} {path}", release.display());
    }
    api
}

/// A validator that looks at formats.
fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

#[test]
fn events_may_gain_and_narrow_commands_may_gain_and_widen_the_api_both() {
    for release in releases() {
        let old = |name: &str| json(&release.join(name));
        for (what, found) in [
            (
                "events",
                bundle::compare(&old("events.v1.json"), &today("events.v1.json"), Of::Events),
            ),
            (
                "commands",
                bundle::compare(&old("commands.v1.json"), &today("commands.v1.json"), Of::Commands),
            ),
            ("the api", openapi::compare(&promised_api(&release), &today_api())),
        ] {
            let release = release.display();
            assert!(
                found.0.is_empty(),
                "{what} break what {release} promises; make the change another way (docs/compatibility.md):\n{found}"
            );
        }
    }
}

#[test]
fn todays_events_are_valid_by_every_released_bundle() {
    for release in releases() {
        let bundle = json(&release.join("events.v1.json"));
        let known = members(&bundle, Of::Events);
        let validator = validator(&bundle);
        let mut looked_at = 0;
        for (name, event) in files(&root().join("goldens/events")) {
            if known.contains_key(event["type"].as_str().unwrap()) {
                let errors: Vec<_> =
                    validator.iter_errors(&event).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{name} by {}: {errors:?}", release.display());
                looked_at += 1;
            }
        }
        assert!(2 * known.len() <= looked_at, "{}: {looked_at} goldens", release.display());
    }
}

#[test]
fn released_events_are_read_by_todays_types() {
    for release in releases() {
        for (name, golden) in files(&release.join("goldens/events")) {
            let read: Event = serde_json::from_value(golden.clone())
                .unwrap_or_else(|error| panic!("{name} of {}: {error}", release.display()));
            let written = serde_json::to_value(read).unwrap();
            assert!(contains(&written, &golden), "{name}: {golden}\nis read as {written}");
        }
    }
}

#[test]
fn released_commands_are_taken_today() {
    let bundle = validator(&today("commands.v1.json"));
    let folders = releases().into_iter().map(|release| (release.join("goldens/commands"), true));
    for (folder, released) in folders.chain([(root().join("goldens/commands"), false)]) {
        let mut named = std::collections::BTreeSet::new();
        for (name, golden) in files(&folder) {
            assert!(bundle.is_valid(&golden), "{name} of {}", folder.display());
            let command: Command = serde_json::from_value(golden.clone())
                .unwrap_or_else(|error| panic!("{name} of {}: {error}", folder.display()));
            command.check().unwrap();
            let written = serde_json::to_value(&command).unwrap();
            assert!(contains(&written, &golden), "{name}: {golden}\nis read as {written}");
            named.insert(command.action.name().to_owned());
        }
        if released {
            let bundle = json(&folder.join("../../commands.v1.json"));
            let without: Vec<_> = members(&bundle, Of::Commands)
                .into_keys()
                .filter(|name| !named.contains(name))
                .collect();
            assert!(without.is_empty(), "{}: no golden command {without:?}", folder.display());
        }
    }
}

#[test]
fn a_release_is_never_edited() {
    for release in releases() {
        let sums = std::fs::read_to_string(release.join("SHA256SUMS")).unwrap();
        let sums: BTreeMap<&str, &str> = sums
            .lines()
            .map(|line| line.split_once("  ").unwrap())
            .map(|(sum, path)| (path, sum))
            .collect();
        let mut unlisted = all_below(&release);
        unlisted.retain(|path| path != "SHA256SUMS" && !sums.contains_key(path.as_str()));
        assert!(unlisted.is_empty(), "{}: {unlisted:?} was not released", release.display());
        for (path, sum) in sums {
            let bytes = std::fs::read(release.join(path)).unwrap();
            let is = hex::encode(Sha256::digest(&bytes));
            assert_eq!(
                is,
                sum,
                "{}/{path} was changed after its release: take it back",
                release.display()
            );
        }
    }
}

/// Every file below a folder, by its path from there.
fn all_below(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in std::fs::read_dir(&one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                paths.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    paths
}

#[test]
fn commands_that_were_not_carried_out_are_in_no_release_before_they_are() {
    for release in releases() {
        let bundle = json(&release.join("commands.v1.json"));
        let described = members(&bundle, Of::Commands);
        for (name, reason) in json(&release.join(LEFT_OUT))["commands"].as_object().unwrap() {
            assert!(!described.contains_key(name), "{name} is described although {reason}");
            assert!(schemas::command::COMMANDS.contains(&name.as_str()), "no command `{name}`");
        }
    }
}
