//! ◆ Pure: the story of an id as a tree, in the order in which it happened: raw bytes, facts, resolution, profile, rows, replies, echoes.

use serde_json::Value;

use super::document::{RawWebhook, Trace};
use super::line::{at, command, due, fact, parked, some, text, waiting};
use super::node::Node;

pub(crate) fn of(trace: &Trace) -> Node {
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

fn of_raw(raw: &RawWebhook, trace: &Trace) -> Node {
    if !raw.kept {
        return Node::leaf(format!("raw webhook {}: no longer in META_RAW", raw.seq));
    }
    let received = raw.received_at.map_or_else(String::new, |time| format!(" received {time}"));
    let path = raw.path.as_deref().unwrap_or("path unknown");
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
