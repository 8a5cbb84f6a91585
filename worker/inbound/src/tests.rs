//! Every fixture of `tests/fixtures/meta/` gives what its README says; and what must hold for any input at all.

mod instagram;
mod messenger;
mod odd;
mod properties;
mod senders;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemas::raw::RawMeta;
use schemas::{Channel, Event, Fact, Kind, Timestamp};
use serde_json::{Value, json};

use super::normalize::{Normalized, Output, normalize};
use facts::accounts::directory::{Account, Directory, Login};
use facts::{Direction, Draft, Known, decide::decide};

const A: &str = "17841400000000101";
const B: &str = "17841400000000202";
const P: &str = "103000000000301";

fn account(channel: Channel, id: &str) -> Account {
    Account {
        channel,
        id: id.into(),
        login: Login::Facebook,
        app: None,
        page_id: None,
        handle: None,
        aliases: Vec::new(),
        name: None,
        auto_reply: None,
        stopped: false,
    }
}

fn directory() -> Directory {
    let mut first = account(Channel::Instagram, A);
    first.aliases = vec!["25500000000000101".to_owned()];
    Directory::new(1, vec![first, account(Channel::Instagram, B), account(Channel::Messenger, P)])
}

fn meta() -> RawMeta {
    RawMeta {
        redacted: None,
        stream_sequence: 7,
        received_at: Timestamp::from_millis(1_800_000_000_000),
        secret: Some("default".to_owned()),
        path: Some("/webhook".to_owned()),
        traceparent: None,
        flaw: None,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/meta")
}

fn fixture(name: &str) -> Vec<u8> {
    let folder_of = match &name[..3] {
        "ig-" => "instagram",
        "fb-" => "messenger",
        _ => "odd",
    };
    std::fs::read(folder().join(folder_of).join(format!("{name}.json"))).unwrap()
}

fn run(body: &[u8]) -> Normalized {
    normalize(body, &meta(), &directory())
}

fn run_json(body: &Value) -> Normalized {
    run(body.to_string().as_bytes())
}

/// What would be published, when nothing is known before.
fn published(normalized: &Normalized) -> Vec<Event> {
    let drafts: Vec<Draft> = normalized.facts().cloned().collect();
    decide(drafts, Known::default())
        .publish
        .into_iter()
        .map(|planned| planned.draft.event)
        .collect()
}

/// Published events but discoveries, on one line each: kind, contact's last digits, time in ms, flags, fields.
fn lines(name: &str) -> Vec<String> {
    published(&run(&fixture(name)))
        .iter()
        .filter(|event| event.kind() != Kind::ContactDiscovered)
        .map(line)
        .collect()
}

fn line(event: &Event) -> String {
    let data = &event.data;
    let contact = data
        .contact_id
        .as_ref()
        .map_or("-".into(), |id| schemas::ids::tail(id.as_str(), 3).into_owned());
    let mut flags = String::new();
    for (set, mark) in [(data.time_approximate, '~'), (data.standby, 's'), (data.is_self, '@')] {
        if set {
            flags.push(mark);
        }
    }
    let mut fields = data.fact.to_fields().unwrap();
    for mid in ["message_id", "shape", "bytes"] {
        if let Some(Value::String(text)) = fields.get(mid) {
            let short: String =
                text.chars().rev().skip_while(|c| matches!(c, 'Z' | 'D' | 'A')).take(6).collect();
            fields.insert(mid.to_owned(), short.chars().rev().collect::<String>().into());
        }
    }
    fields.remove("shape");
    fields.remove("bytes");
    fields.remove("message_id");
    format!(
        "{} {contact} {}{flags} {}",
        event.kind(),
        event.time.as_millis(),
        Value::Object(fields)
    )
}

fn check(name: &str, expected: &[&str]) {
    assert_eq!(lines(name), expected, "{name}");
}

/// All webhook fixtures but the one that is no JSON.
fn fixtures() -> Vec<String> {
    let mut names = Vec::new();
    for part in ["instagram", "messenger", "odd"] {
        for entry in std::fs::read_dir(folder().join(part)).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            if name != "odd-signature-vectors" && name != "odd-not-json" {
                names.push(name);
            }
        }
    }
    assert_eq!(names.len(), 66);
    names.sort();
    names
}

/// Ids of all outputs that do not belong to the body as such.
fn ids(normalized: &Normalized) -> BTreeSet<String> {
    normalized
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Fact(draft) => match draft.event.kind() {
                Kind::WebhookTest | Kind::WebhookUnrecognized => None,
                _ => Some(draft.event.id.to_string()),
            },
            Output::Senderless(item) => {
                Some(format!("hint {} {}", item.account_id, item.message_id))
            }
        })
        .collect()
}
