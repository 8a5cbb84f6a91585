//! ◆ Pure: the story of an id as a tree, in the order in which it happened: raw bytes, facts, resolution, profile, rows, replies, echoes.

use serde_json::Value;

use super::{Raw, Trace, time};

/// One line of the tree and what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The line.
    pub text: String,
    /// What hangs on it.
    pub children: Vec<Self>,
}

impl Node {
    fn leaf(text: impl Into<String>) -> Self {
        Self { text: text.into(), children: Vec::new() }
    }

    fn with(text: impl Into<String>, children: Vec<Self>) -> Self {
        Self { text: text.into(), children }
    }
}

/// The tree.
pub fn of(trace: &Trace) -> Node {
    let story = &trace.story;
    let mut children: Vec<Node> = trace.raws.iter().map(|raw| of_raw(raw, trace)).collect();
    let group = |title: &str, rows: &[Value], line: fn(&Value) -> Node| {
        (!rows.is_empty()).then(|| Node::with(title, rows.iter().map(line).collect()))
    };
    let outcomes: Vec<Value> =
        story.outcomes.iter().filter(|fact| !story.facts.contains(fact)).cloned().collect();
    let groups = [
        group("events", &story.facts, fact),
        group("withdrawn", &story.withdrawn, |row| {
            Node::leaf(format!(
                "{} {}{}",
                text(row, "event_id"),
                text(row, "reason"),
                some(row, "superseded_by", ", now ")
            ))
        }),
        group("parked", &story.parked, parked),
        group("parked by the projector", &trace.rows.parked, |row| {
            Node::leaf(format!(
                "position {} since {}: {} ({})",
                text(row, "seq"),
                at(row, "parked_at"),
                text(row, "cause"),
                text(row, "detail")
            ))
        }),
        group("waiting room", &story.waiting, waiting),
        group("resolution", &story.resolutions, |row| {
            let evidence = Node::leaf(format!("evidence {}", row["evidence"]));
            let line = format!(
                "{}: {} is {} of contact {} ({})",
                text(row, "method"),
                text(row, "message_id"),
                text(row, "direction"),
                text(row, "contact_id"),
                at(row, "resolved_at")
            );
            Node::with(line, vec![evidence])
        }),
        group("profile", &story.contacts, |row| {
            let answer = match row["answer"].as_str() {
                Some(answer) => format!("{answer} at {}", at(row, "answered_at")),
                None => "not asked yet".to_owned(),
            };
            Node::leaf(format!("contact {}: {answer}{}", text(row, "contact_id"), due(row)))
        }),
        rows(trace),
        group("replies and commands", &story.commands, command),
        group("outcome events", &outcomes, fact),
        group("echoes", &story.echoes, |row| {
            let claim = row["claimed_by"]
                .as_str()
                .map_or_else(String::new, |part| format!(", the effect of {part}"));
            Node::leaf(format!(
                "{} {} at {}{claim}",
                text(row, "kind"),
                text(row, "item_id"),
                at(row, "time")
            ))
        }),
    ];
    children.extend(groups.into_iter().flatten());
    for event in &trace.events {
        children.push(Node::leaf(format!("revealed event {event}")));
    }
    let known =
        if story.known_as.is_empty() { "event".to_owned() } else { story.known_as.join(", ") };
    Node::with(format!("{} ({known})", story.id), children)
}

fn of_raw(raw: &Raw, trace: &Trace) -> Node {
    if !raw.kept {
        return Node::leaf(format!("raw webhook {}: no longer in META_RAW", raw.seq));
    }
    let received = raw.received_at.map_or_else(String::new, |time| format!(" received {time}"));
    let path = raw.path.as_deref().unwrap_or("path not told");
    let mut children = vec![Node::leaf(match &raw.verified_by {
        Some(secret) => format!("signature: verified by secret `{secret}`"),
        None => "signature: no secret is named".to_owned(),
    })];
    children.push(Node::leaf(format!("structure {}", raw.structure)));
    if let Some(body) = &raw.body {
        children.push(Node::leaf(format!("revealed body {body}")));
    }
    let title = format!("normaliser {} says today", trace.version);
    children.push(match &raw.readings {
        None => Node::leaf(format!("{title}: it breaks down over it, a bug")),
        Some(readings) => {
            let line = |reading: &worker::trace::reading::Reading| {
                let id =
                    reading.event_id.as_deref().or(reading.message_id.as_deref()).unwrap_or("-");
                Node::leaf(format!("{} {id}: {}", reading.kind, reading.verdict))
            };
            Node::with(title, readings.iter().map(line).collect())
        }
    });
    Node::with(format!("raw webhook {}, {} bytes, {path}{received}", raw.seq, raw.bytes), children)
}

fn fact(row: &Value) -> Node {
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

fn parked(row: &Value) -> Node {
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

fn waiting(row: &Value) -> Node {
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

fn rows(trace: &Trace) -> Option<Node> {
    let rows = &trace.rows;
    let mut children = Vec::new();
    for row in &rows.messages {
        let hidden = if row["hidden"] == true { ", hidden" } else { "" };
        let times = ["edited_at", "deleted_at", "delivered_at", "read_at"];
        let times: String = times
            .iter()
            .filter(|name| row[**name].is_string())
            .map(|name| format!(", {} {}", name.trim_end_matches("_at"), at(row, name)))
            .collect();
        children.push(Node::leaf(format!(
            "inbox.messages {}: {} at {}{hidden}{times}{}",
            text(row, "id"),
            text(row, "direction"),
            at(row, "sent_at"),
            some(row, "reply_id", ", reply ")
        )));
    }
    for row in &rows.conversations {
        children.push(Node::leaf(format!(
            "inbox.conversations {}: contact {}, {} unread{}",
            text(row, "id"),
            text(row, "contact_id"),
            text(row, "unread_count"),
            some(row, "window_expires_at", ", window until ")
        )));
    }
    for row in &rows.folded {
        children.push(Node::leaf(format!(
            "{} revision {} is part of {}",
            text(row, "event_id"),
            text(row, "revision"),
            text(row, "row")
        )));
    }
    let schema = rows.schema.as_deref().unwrap_or("-");
    (!children.is_empty()).then(|| Node::with(format!("rows (schema {schema})"), children))
}

fn command(row: &Value) -> Node {
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

fn text(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn at(row: &Value, name: &str) -> String {
    time(&row[name]).unwrap_or_else(|| "-".to_owned())
}

fn some(row: &Value, name: &str, before: &str) -> String {
    if row[name].is_null() { String::new() } else { format!("{before}{}", text(row, name)) }
}

fn due(row: &Value) -> String {
    time(&row["due_at"]).map_or_else(String::new, |time| format!(", next look {time}"))
}

/// The lines of a tree.
pub fn lines(tree: &Node) -> Vec<String> {
    let mut lines = vec![tree.text.clone()];
    hang(&tree.children, "", &mut lines);
    lines
}

fn hang(children: &[Node], before: &str, lines: &mut Vec<String>) {
    for (n, child) in children.iter().enumerate() {
        let last = n + 1 == children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(format!("{before}{branch}{}", child.text));
        hang(&child.children, &format!("{before}{below}"), lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_branches() {
        let tree = Node::with("a", vec![Node::with("b", vec![Node::leaf("c")]), Node::leaf("d")]);
        assert_eq!(lines(&tree), ["a", "├─ b", "│  └─ c", "└─ d"]);
    }
}
