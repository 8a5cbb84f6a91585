//! ◆ Pure: one row of the story as a line of the tree.

use chrono::{DateTime, Utc};
use schemas::Timestamp;
use serde_json::Value;

use super::node::Node;

pub(crate) fn fact(row: &Value) -> Node {
    let digest = row["digest"].as_str().unwrap_or_default();
    Node::leaf(format!(
        "{} {} revision {} at {}, digest {}, rank {}, position {}{}, recorded {}",
        text(row, "kind"),
        text(row, "event_id"),
        text(row, "revision"),
        at(row, "time"),
        digest.get(..12).unwrap_or(digest),
        text(row, "rank"),
        text(row, "event_seq"),
        some(row, "raw_seq", ", from "),
        at(row, "recorded_at"),
    ))
}

pub(crate) fn parked(row: &Value) -> Node {
    let next = match row["retry_at"].as_str() {
        Some(_) => format!("tried again at {}", at(row, "retry_at")),
        None => "waits for `hookline redrive run`".to_owned(),
    };
    let line = format!(
        "row {} ({}) since {}: {}{}",
        text(row, "row"),
        text(row, "role"),
        at(row, "parked_at"),
        text(row, "cause"),
        some(row, "error", ", ")
    );
    let lane = format!(
        "lane {} holds {} row(s); {} tries; {next}",
        text(row, "lane"),
        text(row, "lane_rows"),
        text(row, "attempts")
    );
    Node::with(line, vec![Node::leaf(lane)])
}

pub(crate) fn waiting(row: &Value) -> Node {
    let tried = Node::leaf(format!("tried {}", row["tried"]));
    let line = format!(
        "{} (edit {}) {} since {}, {} tries{}{}",
        text(row, "message_id"),
        text(row, "num_edit"),
        text(row, "state"),
        at(row, "received_at"),
        text(row, "attempts"),
        some(row, "method", ", found by "),
        due(row)
    );
    Node::with(line, vec![tried])
}

pub(crate) fn command(row: &Value) -> Node {
    let line = format!(
        "{} {} by {}: {}{}{}{}",
        text(row, "command"),
        text(row, "command_id"),
        text(row, "requester"),
        text(row, "state"),
        some(row, "held", ", held: "),
        some(row, "rule", ", rule "),
        some(row, "caused_by", ", caused by ")
    );
    let mut children: Vec<Node> = Vec::new();
    if let Some(code) = row["error"]["code"].as_str() {
        children.push(Node::leaf(format!(
            "error {code} ({})",
            row["error"]["class"].as_str().unwrap_or("-")
        )));
    }
    for part in row["parts"].as_array().into_iter().flatten() {
        let sent = if part["sent_at"].is_string() {
            format!(" at {}", at(part, "sent_at"))
        } else {
            String::new()
        };
        let answer = if part["answer"].is_null() {
            String::new()
        } else {
            format!(", Graph said {}", part["answer"])
        };
        children.push(Node::leaf(format!(
            "part {}: {}{sent}, {} attempt(s), {} refusal(s){}{}{answer}",
            text(part, "n"),
            text(part, "state"),
            text(part, "attempts"),
            text(part, "refusals"),
            some(part, "message_id", ", message "),
            some(part, "settled_by", ", settled by ")
        )));
    }
    Node::with(line, children)
}

/// A field as people read it; `-` where it is null.
pub(crate) fn text(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// A time as people read it; `-` where it is null.
pub(crate) fn at(row: &Value, name: &str) -> String {
    time(&row[name]).unwrap_or_else(|| "-".to_owned())
}

/// `before` and the field; nothing where it is null.
pub(crate) fn some(row: &Value, name: &str, before: &str) -> String {
    if row[name].is_null() { String::new() } else { format!("{before}{}", text(row, name)) }
}

/// When it is tried next; nothing where it is not.
pub(crate) fn due(row: &Value) -> String {
    time(&row["due_at"]).map_or_else(String::new, |time| format!(", next look {time}"))
}

/// A time as Postgres writes it in JSON, in the form of all other times.
fn time(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    Some(Timestamp::from(time).to_string())
}
