//! The metrics: the table in `runtime::meters`, the code, the page that is written from it, alerts and dashboards say the same.
//! `BLESS=1` (`make bless`) writes docs/metrics.md.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use runtime::meters::{METERS, Meter, MeterKind};

const CODE: [&str; 6] = ["runtime", "ingest", "worker", "projector", "api", "hookline"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of a folder and those within it.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("tests") {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|is| is == ending) {
            found.push(path);
        }
    }
    found
}

/// What stands between the bracket at the start and the one that closes it.
fn bracketed(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[1..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("no end: {text}")
}

/// Name, kind and labels of each use of a metric in a file.
fn uses(source: &str) -> Vec<(String, MeterKind, BTreeSet<String>)> {
    let mut found = Vec::new();
    for kind in [MeterKind::Counter, MeterKind::Gauge, MeterKind::Histogram] {
        let start = format!("{}!(", kind.as_str());
        for (at, _) in source.match_indices(&start) {
            if source[..at].ends_with('_') {
                continue; // describe_…!
            }
            let arguments = bracketed(&source[at + start.len() - 1..]);
            let first = arguments.split(',').next().unwrap().trim();
            let name = match first.strip_prefix('"') {
                Some(name) => name.trim_end_matches('"').to_owned(),
                None => constant(source, first),
            };
            let parts: Vec<&str> = arguments.split("=>").collect();
            let keys = parts[..parts.len() - 1].iter().map(|part| {
                part.trim().trim_end_matches('"').rsplit('"').next().unwrap().to_owned()
            });
            found.push((name, kind, keys.collect()));
        }
    }
    found
}

fn constant(source: &str, name: &str) -> String {
    let start = format!("const {name}: &str = \"");
    let at = source.find(&start).unwrap_or_else(|| panic!("{name} is no constant of its file"));
    source[at + start.len()..].split('"').next().unwrap().to_owned()
}

#[test]
fn the_table_is_what_the_code_counts() {
    let table: BTreeMap<&str, &Meter> = METERS.iter().map(|meter| (meter.name, meter)).collect();
    assert_eq!(table.len(), METERS.len(), "a name stands twice");
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for path in CODE.iter().flat_map(|folder| files(&root().join(folder), "rs")) {
        for (name, kind, labels) in uses(&std::fs::read_to_string(&path).unwrap()) {
            match table.get(name.as_str()) {
                None => wrong
                    .push(format!("{name} ({}) is not in runtime/src/meters.rs", path.display())),
                Some(meter) => {
                    let known: BTreeSet<String> =
                        meter.labels.iter().map(|label| (*label).to_owned()).collect();
                    if meter.kind != kind || known != labels {
                        wrong.push(format!(
                            "{name}: {kind:?} {labels:?}, in the table {:?} {known:?}",
                            meter.kind
                        ));
                    }
                }
            }
            used.insert(name);
        }
    }
    wrong.extend(
        METERS
            .iter()
            .filter(|meter| !used.contains(meter.name))
            .map(|m| format!("{}: nothing counts it", m.name)),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_end_in_their_unit_as_prometheus_asks() {
    for meter in METERS {
        assert!(meter.name.starts_with("hookline_"), "{}", meter.name);
        assert_eq!(
            meter.name.ends_with("_total"),
            meter.kind == MeterKind::Counter,
            "{}",
            meter.name
        );
        for unit in ["seconds", "bytes"] {
            assert_eq!(
                meter.name.ends_with(&format!("_{unit}")),
                meter.unit == unit,
                "{}",
                meter.name
            );
        }
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nWhat `GET /metrics` on `ADMIN_LISTEN` shows, written from `runtime/src/meters.rs` by `make bless`. A counter or histogram appears with its first sample. Labels carry ids of \
         accounts and words of the code, never a person's id, words or name. Alerts and dashboards over them: [deploy](../deploy/README.md).\n\n\
         | metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n",
    );
    for Meter { name, kind, unit, labels, meaning } in METERS {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = kind.as_str();
        writeln!(page, "| `{name}` | {kind} | {unit} | {} | {meaning} |", labels.join(", "))
            .unwrap();
    }
    page
}

#[test]
fn the_page_is_written_from_the_table() {
    let path = root().join("docs/metrics.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == page(),
        "docs/metrics.md is not what runtime/src/meters.rs says: run `make bless`"
    );
}

/// Every metric that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let words = text.split(|letter: char| !is_part(letter));
    words.filter(|word| word.starts_with("hookline_")).map(str::to_owned).collect()
}

#[test]
fn alerts_dashboards_and_pages_name_metrics_that_exist() {
    let mut names = BTreeSet::new();
    for meter in METERS {
        names.insert(meter.name.to_owned());
        if meter.kind == MeterKind::Histogram {
            names.extend(["bucket", "sum", "count"].map(|part| format!("{}_{part}", meter.name)));
        }
    }
    // Roles of Postgres begin like metrics.
    names.extend(["worker", "projector", "api", "operator"].map(|role| format!("hookline_{role}")));
    let deploy = root().join("deploy");
    let paths = ["yml", "json", "yaml", "tpl"].iter().flat_map(|ending| files(&deploy, ending));
    let paths: Vec<PathBuf> = paths.chain(files(&deploy.join("runbooks"), "md")).collect();
    assert!(paths.iter().any(|path| path.ends_with("prometheus/alerts.yml")), "no alerts");
    for path in paths {
        for name in named(&std::fs::read_to_string(&path).unwrap()) {
            assert!(names.contains(&name), "{}: {name} is no metric", path.display());
        }
    }
}
