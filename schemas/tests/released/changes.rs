//! Proof that the gate shows what it has to: changes of release 1.0 that are forbidden, one at least for each rule, and changes that are
//! allowed.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::bundle::{self, Of};
use crate::finding::{Findings, Rule};
use crate::gate::{json, releases};
use crate::openapi;

/// A change of a released document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `events`, `commands` or `openapi`.
    of: String,
    /// What somebody did.
    change: String,
    /// The rules that it breaks; of an allowed one none.
    #[serde(default)]
    red: BTreeSet<String>,
    /// What the release has in addition, where it has nothing to show the rule on.
    #[serde(default)]
    given: Vec<Edit>,
    /// How the change is made, in this order.
    edits: Vec<Edit>,
}

/// One edit, by JSON pointer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    at: String,
    /// What stands there afterwards; absent: nothing does.
    to: Option<Value>,
    /// Of a list: taken out of it.
    without: Option<Value>,
    /// Of a list: put behind the others.
    with: Option<Value>,
}

impl Edit {
    fn make(&self, document: &mut Value) {
        let at = &self.at;
        for (word, adds) in [(&self.without, false), (&self.with, true)] {
            let Some(word) = word else { continue };
            let list = document.pointer_mut(at).and_then(Value::as_array_mut);
            let list = list.unwrap_or_else(|| panic!("no list at {at}"));
            let before = list.len();
            list.retain(|one| one != word);
            assert!(adds || list.len() < before, "{word} is not in {at}");
            if adds {
                list.push(word.clone());
            }
            return;
        }
        let (parent, name) = at.rsplit_once('/').unwrap();
        let name = name.replace("~1", "/").replace("~0", "~");
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
        match (&self.to, parent) {
            (Some(value), Value::Object(fields)) => _ = fields.insert(name, value.clone()),
            (Some(value), Value::Array(list)) => {
                list[name.parse::<usize>().unwrap()] = value.clone()
            }
            (None, Value::Object(fields)) => {
                assert!(fields.remove(&name).is_some(), "nothing to remove at {at}");
            }
            (None, Value::Array(list)) => _ = list.remove(name.parse().unwrap()),
            (_, other) => panic!("{at} is in {other}"),
        }
    }
}

/// The changes of a file beside this one, and what the gate finds of each.
fn made(file: &str) -> Vec<(Change, Findings)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released");
    let changes: Vec<Change> = serde_json::from_value(json(&folder.join(file))).unwrap();
    let first = &releases()[0];
    let old = |name: &str| json(&first.join(name));
    let (events, commands, api) =
        (old("events.v1.json"), old("commands.v1.json"), old("openapi.json"));
    let compared = |change: &Change| {
        let mut old = match change.of.as_str() {
            "events" => events.clone(),
            "commands" => commands.clone(),
            "openapi" => api.clone(),
            other => panic!("{other}: use events, commands or openapi"),
        };
        change.given.iter().for_each(|edit| edit.make(&mut old));
        let mut new = old.clone();
        change.edits.iter().for_each(|edit| edit.make(&mut new));
        match change.of.as_str() {
            "events" => bundle::compare(&old, &new, Of::Events),
            "commands" => bundle::compare(&old, &new, Of::Commands),
            _ => openapi::compare(&old, &new),
        }
    };
    changes
        .into_iter()
        .map(|change| {
            let found = compared(&change);
            (change, found)
        })
        .collect()
}

#[test]
fn each_forbidden_change_is_red_by_its_rule() {
    let made = made("forbidden.json");
    let mut shown = BTreeSet::new();
    for (change, found) in &made {
        let broken: BTreeSet<String> =
            found.0.iter().map(|finding| finding.rule.as_str().to_owned()).collect();
        assert_eq!(broken, change.red, "{}: {}\n{found}", change.of, change.change);
        shown.extend(broken);
    }
    let all: BTreeSet<String> = Rule::ALL.iter().map(|rule| rule.as_str().to_owned()).collect();
    assert_eq!(shown, all, "every rule has a change that breaks it");
    assert!(30 <= made.len(), "{}", made.len());
}

#[test]
fn each_allowed_change_is_green() {
    let made = made("allowed.json");
    for (change, found) in &made {
        assert!(change.red.is_empty() && !change.edits.is_empty(), "{}", change.change);
        assert!(found.0.is_empty(), "{}: {}\n{found}", change.of, change.change);
    }
    assert!(20 <= made.len(), "{}", made.len());
}

#[test]
fn a_release_breaks_nothing_of_itself() {
    for release in releases() {
        let of = |name: &str| json(&release.join(name));
        let found = [
            bundle::compare(&of("events.v1.json"), &of("events.v1.json"), Of::Events),
            bundle::compare(&of("commands.v1.json"), &of("commands.v1.json"), Of::Commands),
            openapi::compare(&of("openapi.json"), &of("openapi.json")),
        ];
        for found in found {
            assert!(found.0.is_empty(), "{}:\n{found}", release.display());
        }
    }
}
