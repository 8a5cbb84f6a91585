//! ◆ Pure: what today's normaliser says of a raw webhook, beside what was recorded of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use schemas::raw::RawMeta;
use serde::Serialize;
use serde_json::Value;

use facts::accounts::directory::Directory;
use facts::digest::digest;
use inbound::normalize::{Normalized, Output, normalize};

/// One thing the normaliser of this version says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Its kind; `waits without a sender` for what goes to the waiting room.
    pub kind: String,
    /// The event; absent for what waits.
    pub event_id: Option<String>,
    /// The message it is about.
    pub message_id: Option<String>,
    /// Which item of the body.
    pub index: Option<u32>,
    /// `as recorded`, `reads differently today`, `not recorded`, `withdrawn`, `waits`.
    pub verdict: &'static str,
}

/// Reads a raw webhook with this version. `None`: the normaliser broke down over it.
pub fn normalized(body: &[u8], meta: &RawMeta, accounts: &Directory) -> Option<Normalized> {
    catch_unwind(AssertUnwindSafe(|| normalize(body, meta, accounts))).ok()
}

/// Compares with facts recorded under the same ids, as [`super::find`] returns them.
pub fn compare(normalized: &Normalized, facts: &[Value], withdrawn: &[String]) -> Vec<Reading> {
    let readings = normalized.outputs.iter().map(|output| match output {
        Output::Fact(draft) => {
            let event = &draft.event;
            let id = event.id.as_str();
            let digest = hex::encode(digest(event));
            let mut recorded = facts.iter().filter(|fact| fact["event_id"] == id).peekable();
            let verdict = if withdrawn.iter().any(|other| other == id) {
                "withdrawn"
            } else if recorded.peek().is_none() {
                "not recorded"
            } else if recorded.any(|fact| fact["digest"] == digest.as_str()) {
                "as recorded"
            } else {
                "reads differently today"
            };
            Reading {
                kind: event.kind().as_str().to_owned(),
                event_id: Some(id.to_owned()),
                message_id: facts::draft::message_of(&event.data.fact).map(str::to_owned),
                index: event.data.origin.index,
                verdict,
            }
        }
        Output::Senderless(item) => Reading {
            kind: "waits without a sender".to_owned(),
            event_id: None,
            message_id: Some(item.message_id.to_string()),
            index: item.origin.index,
            verdict: "waits",
        },
    });
    readings.collect()
}
