//! ◆ Pure: everything the worker knows about an id, and which further ids follow from it.

use std::collections::BTreeSet;

use schemas::{AccountId, Channel, EventId};
use serde::Serialize;
use serde_json::Value;

use outbound::part_key;

/// Everything the worker knows about an id.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Story {
    /// The id that was asked for.
    pub id: String,
    /// As what it is known: `event`, `message`, `command`, `parked row`, `parked event`, `waiting message`.
    pub known_as: Vec<&'static str>,
    /// Facts recorded about it, every revision, oldest first.
    pub facts: Vec<Value>,
    /// Withdrawals of them.
    pub withdrawn: Vec<Value>,
    /// Positions in META_RAW it came from.
    pub raw_seqs: Vec<i64>,
    /// Positions in a META_RAW that was lost: other webhooks may have them now.
    pub lost_raw_seqs: Vec<i64>,
    /// Its place in the waiting room.
    pub waiting: Vec<Value>,
    /// How its sender was found.
    pub resolutions: Vec<Value>,
    /// What the index of messages says: whose it is.
    pub messages: Vec<Value>,
    /// When Meta was asked for the person's profile, and how it answered.
    pub contacts: Vec<Value>,
    /// What is parked of it.
    pub parked: Vec<Value>,
    /// Parked rows that an operator gave up.
    pub discarded: Vec<Value>,
    /// Replies and other commands it caused, or that caused it, with their parts.
    pub commands: Vec<Value>,
    /// Outbound messages as Meta reported them.
    pub echoes: Vec<Value>,
    /// Facts about the outcomes of the commands, and about the messages they made.
    pub outcomes: Vec<Value>,
}

impl Story {
    /// Whether anything is known.
    pub fn is_empty(&self) -> bool {
        self.known_as.is_empty()
    }

    /// The ids of its events.
    pub fn event_ids(&self) -> Vec<String> {
        let parked = texts(&self.parked, "event_id");
        texts(&self.facts, "event_id")
            .into_iter()
            .chain(parked)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Meta's ids of its messages.
    pub fn message_ids(&self) -> Vec<String> {
        let parts = self.commands.iter().filter_map(|command| command.get("parts")?.as_array());
        let parts = parts.flat_map(|parts| texts(parts, "message_id"));
        let rows = [&self.facts, &self.waiting, &self.messages]
            .into_iter()
            .flat_map(|rows| texts(rows, "message_id"));
        rows.chain(parts).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Channel and id of the accounts that are known by now.
    pub(super) fn accounts(&self) -> BTreeSet<(String, String)> {
        let known = [&self.facts, &self.waiting, &self.commands];
        let text = |row: &Value, name: &str| row.get(name)?.as_str().map(str::to_owned);
        known
            .into_iter()
            .flatten()
            .filter_map(|row| Some((text(row, "channel")?, text(row, "account_id")?)))
            .collect()
    }

    /// The people it is about.
    pub(super) fn people(&self) -> Vec<String> {
        [&self.facts, &self.messages, &self.resolutions, &self.commands]
            .into_iter()
            .flat_map(|rows| texts(rows, "contact_id"))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The keys of the parts of its commands, by which echoes are claimed.
    pub(super) fn part_keys(&self) -> Vec<String> {
        let keys = self.commands.iter().flat_map(|command| {
            let identity = command["identity"].as_str().unwrap_or_default();
            let parts = command["parts"].as_array().cloned().unwrap_or_default();
            let number = |part: Value| i32::try_from(part["n"].as_i64()?).ok();
            parts.into_iter().filter_map(number).map(move |n| part_key(identity, n))
        });
        keys.collect()
    }

    /// Positions in the META_RAW of this number, and those in others. Outcomes have the position of their command where others have that of their raw webhook.
    pub(super) fn positions(&self, era: i16) -> (Vec<i64>, Vec<i64>) {
        let ours = |fact: &&Value| {
            let kind = fact["kind"].as_str().unwrap_or_default();
            !kind.starts_with("reply.") && !kind.starts_with("command.") && fact["rank"] != 2
        };
        let facts = self.facts.iter().filter(ours);
        let seqs = facts
            .chain(&self.waiting)
            .chain(&self.parked)
            .filter_map(|row| Some((row["raw_era"].as_i64()?, row["raw_seq"].as_i64()?)));
        let all: BTreeSet<(i64, i64)> = seqs.collect();
        let (here, lost): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(of, _)| *of == i64::from(era));
        let numbers = |all: Vec<(i64, i64)>| all.into_iter().map(|(_, seq)| seq).collect();
        (numbers(here), numbers(lost))
    }

    /// The ids that outcome events of its commands have, and Meta's ids of the messages that the commands made.
    pub(super) fn outcome_ids(&self) -> (Vec<String>, Vec<String>) {
        let mut ids = Vec::new();
        let mut mids = BTreeSet::new();
        for command in &self.commands {
            let text = |name: &str| command[name].as_str().unwrap_or_default();
            let Ok(channel) = text("channel").parse::<Channel>() else { continue };
            let account = AccountId::new(text("account_id"));
            let again = text("identity").split_once('#').map(|(_, seq)| seq);
            let id = text("command_id");
            for kind in ["reply.sent", "reply.failed", "reply.unknown"] {
                ids.push(EventId::derive(channel, &account, kind, &[id]).to_string());
            }
            for kind in ["command.done", "command.failed", "command.unknown"] {
                let parts = [id, again.unwrap_or_default()];
                ids.push(EventId::derive(channel, &account, kind, &parts).to_string());
            }
            let parts = command["parts"].as_array();
            mids.extend(parts.map(|parts| texts(parts, "message_id")).unwrap_or_default());
        }
        (ids, mids.into_iter().collect())
    }
}

/// The texts under one name in rows.
pub(super) fn texts(rows: &[Value], name: &str) -> BTreeSet<String> {
    rows.iter().filter_map(|row| row.get(name)?.as_str()).map(str::to_owned).collect()
}

/// Adds the rows whose key is not there yet.
pub(super) fn merge(into: &mut Vec<Value>, more: Vec<Value>, key: &[&str]) {
    let same = |a: &Value, b: &Value| key.iter().all(|name| a.get(name) == b.get(name));
    for row in more {
        if !into.iter().any(|known| same(known, &row)) {
            into.push(row);
        }
    }
}
