//! The AsyncAPI 3.1 document.

use schemas::{Event, Kind, subjects};
use serde_json::{Map, Value, json};

/// The document as YAML.
pub(crate) fn document() -> String {
    let document = json!({
        "asyncapi": "3.1.0",
        "info": {
            "title": "hookline streams",
            "version": "1.0.0",
            "description": "Normalised events of Instagram Direct, Messenger and comments, and commands to act on them. Delivery is at least once: drop what you have by id and revision.",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            "contact": { "name": "Whoever runs this hookline" },
            "tags": [{ "name": "streams", "description": "Streams of NATS JetStream." }],
        },
        "id": "urn:hookline:streams",
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "{host}:{port}",
                "protocol": "nats",
                "description": "Where NATS_URL points. Subscribers read with permissions of their own (deploy/nats-users.conf).",
                "variables": {
                    "host": { "default": "127.0.0.1", "description": "Host of the NATS server." },
                    "port": { "default": "4222", "description": "Port of the NATS server." },
                },
            },
        },
        "channels": channels(),
        "operations": {
            "receiveEvents": operation("receive", "events", "Events, by a consumer of the subscriber's own."),
            "receiveDead": operation("receive", "dead", "Copies of what is parked."),
            "receiveRaw": operation("receive", "raw", "Raw webhooks."),
            "sendCommand": operation("send", "commands", "A wish to act on Meta."),
        },
        "components": { "messages": messages() },
    });
    let yaml = serde_norway::to_string(&document).expect("a JSON value is always YAML");
    format!("# Written by `make bless` from the types in schemas/src; do not edit.\n{yaml}")
}

/// No queue group: a consumer of the stream shares work out.
fn operation(action: &str, channel: &str, summary: &str) -> Value {
    json!({
        "action": action,
        "summary": summary,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "bindings": { "nats": { "bindingVersion": "0.1.0" } },
    })
}

fn channels() -> Value {
    let events: Map<String, Value> = Kind::ALL
        .iter()
        .map(|kind| (kind.to_string(), json!({ "$ref": format!("#/components/messages/{kind}") })))
        .collect();
    json!({
        "raw": {
            "address": "meta.v1.raw.{path}.{shard}",
            "description": format!("Stream {}.", subjects::META_RAW),
            "parameters": {
                "path": { "description": "Where it came in.", "enum": ["instagram", "facebook", "any"] },
                "shard": { "description": "00…07, from the first entry[].id." },
            },
            "messages": { "raw": { "$ref": "#/components/messages/raw" } },
        },
        "events": {
            "address": "inbox.v1.event.{partition}.{channel}.{account}.{kind}",
            "description": format!("Stream {}. Events of one conversation come in the order of their raw webhooks.", subjects::INBOX_EVENTS),
            "parameters": parameters("kind", "The kind, with a dash for its dot."),
            "messages": events,
        },
        "commands": {
            "address": "inbox.v1.command.{partition}.{channel}.{account}.{command}",
            "description": format!("Stream {}.", subjects::INBOX_COMMANDS),
            "parameters": parameters("command", "The name of the command."),
            "messages": { "command": { "$ref": "#/components/messages/command" } },
        },
        "dead": {
            "address": "inbox.v1.dead.{stage}.{channel}.{account}",
            "description": format!("Stream {}. The rows of Postgres are the truth; these are copies.", subjects::INBOX_DEAD),
            "parameters": {
                "stage": { "description": "Who parked it.", "examples": ["normalize", "projector", "commands"] },
                "channel": { "description": "Where it happens; `_` where that is not known.", "examples": ["instagram", "messenger", "_"] },
                "account": { "description": "The account, as a subject token; `_` where that is not known." },
            },
            "messages": {
                "parked": { "$ref": "#/components/messages/parked" },
                "unreadable": { "$ref": "#/components/messages/unreadable" },
            },
        },
    })
}

fn parameters(last: &str, last_meaning: &str) -> Value {
    json!({
        "partition": { "description": "00…63: FNV-1a 32 bit of the routing key, mod 64." },
        "channel": { "description": "Where it happens.", "examples": ["instagram", "messenger"] },
        "account": { "description": "The account, as a subject token." },
        last: { "description": last_meaning },
    })
}

fn messages() -> Map<String, Value> {
    let events = Kind::ALL.iter().map(|kind| {
        let message = json!({
            "name": Event::type_name(*kind),
            "summary": kind.meaning(),
            "contentType": "application/cloudevents+json",
            "payload": { "$ref": format!("./json/{kind}.v1.json") },
        });
        (kind.to_string(), message)
    });
    let command = json!({
        "name": "command",
        "summary": "A wish to act on Meta.",
        "contentType": "application/json",
        "payload": { "$ref": "./json/command.v1.json" },
    });
    let raw = json!({
        "name": "raw",
        "summary": "The body of one webhook, byte for byte.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "Nats-Msg-Id": { "type": "string", "description": "sha256 of the body, hex." },
                "Hookline-Received-At": { "type": "string", "format": "date-time" },
                "Hookline-Secret": { "type": "string", "description": "Name of the verifying secret." },
                "Hookline-Path": { "type": "string" },
                "traceparent": { "type": "string" },
            },
        },
        "payload": {},
    });
    let others =
        [("command", command), ("raw", raw), ("parked", parked()), ("unreadable", unreadable())];
    events.chain(others.map(|(name, message)| (name.to_owned(), message))).collect()
}

fn parked() -> Value {
    json!({
        "name": "parked",
        "summary": "What the normaliser or the projector has parked: ids and the cause, never content.",
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "required": ["stage", "parked"],
            "properties": {
                "stage": { "type": "string", "description": "Who parked it.", "examples": ["normalize", "projector"] },
                "parked": { "type": "object", "description": "The row as Postgres has it." },
            },
        },
    })
}

fn unreadable() -> Value {
    json!({
        "name": "unreadable",
        "summary": "Of the stage `commands`: the bytes of a message that is no command, as they came.",
        "contentType": "application/octet-stream",
        "payload": {},
    })
}
