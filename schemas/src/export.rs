//! ◆ Pure: JSON Schemas and the AsyncAPI document, made from the types. `make bless` writes them, `make test` compares.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::command::{
    CommentCreateData, CommentRef, CommentTextData, ReplyData, SenderActionData, SyncData,
    UncheckedCommand,
};
use crate::event::WireData;
use crate::{Event, Kind, subjects};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Every generated file: path below `schemas/` → content.
pub fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for kind in Kind::ALL {
        files.insert(format!("json/{kind}.v1.json"), pretty(&event_schema(*kind)));
    }
    files.insert("json/command.v1.json".to_owned(), pretty(&command_schema()));
    files.insert("asyncapi.yaml".to_owned(), asyncapi());
    files
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// The fields of an object schema, as JSON.
fn object_parts(schema: schemars::Schema) -> (Map<String, Value>, Vec<Value>) {
    let mut value = schema.to_value();
    let properties = value
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .map(std::mem::take)
        .unwrap_or_default();
    let required = value
        .get_mut("required")
        .and_then(Value::as_array_mut)
        .map(std::mem::take)
        .unwrap_or_default();
    (properties, required)
}

/// The JSON Schema of the whole envelope of one kind.
pub fn event_schema(kind: Kind) -> Value {
    let mut generator = generator();
    let (mut properties, mut required) = object_parts(WireData::json_schema(&mut generator));
    let (body_properties, body_required) = object_parts(kind.body_schema(&mut generator));
    properties.extend(body_properties);
    required.extend(body_required);
    let mut schema = json!({
        "$schema": DIALECT,
        "$id": Event::data_schema(kind),
        "title": Event::type_name(kind),
        "description": kind.meaning(),
        "type": "object",
        "required": ["specversion", "id", "type", "source", "time", "datacontenttype", "dataschema", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1 },
            "type": { "const": Event::type_name(kind) },
            "source": { "type": "string", "format": "uri-reference", "pattern": "^/(instagram|messenger)/" },
            "subject": { "type": "string", "minLength": 1, "description": "The conversation; absent without a person." },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "const": Event::data_schema(kind) },
            "traceparent": { "type": "string" },
            "data": { "type": "object", "required": required, "properties": properties },
        },
    });
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    schema
}

/// The JSON Schema of a command: the envelope, and the data of each command this version carries out.
pub fn command_schema() -> Value {
    let mut generator = generator();
    let (mut properties, required) = object_parts(UncheckedCommand::json_schema(&mut generator));
    properties.insert("command".to_owned(), json!({ "enum": crate::command::COMMANDS }));
    let data = [
        ("reply", ReplyData::json_schema(&mut generator)),
        ("sender_action", SenderActionData::json_schema(&mut generator)),
        ("comment_reply", CommentTextData::json_schema(&mut generator)),
        ("comment_private_reply", CommentTextData::json_schema(&mut generator)),
        ("comment_create", CommentCreateData::json_schema(&mut generator)),
        ("comment_hide", CommentRef::json_schema(&mut generator)),
        ("comment_unhide", CommentRef::json_schema(&mut generator)),
        ("comment_delete", CommentRef::json_schema(&mut generator)),
        ("sync", SyncData::json_schema(&mut generator)),
    ];
    let cases: Vec<Value> = data
        .into_iter()
        .map(|(name, schema)| {
            json!({
                "if": { "properties": { "command": { "const": name } } },
                "then": { "properties": { "data": schema.to_value() } },
            })
        })
        .collect();
    let mut schema = json!({
        "$schema": DIALECT,
        "$id": "hookline:schemas/command.v1.json",
        "title": "hookline command",
        "description": "A wish to act on Meta.",
        "type": "object",
        "required": required,
        "properties": properties,
        "allOf": cases,
    });
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    schema
}

/// The AsyncAPI 3 document.
pub fn asyncapi() -> String {
    let parameters = |last: &str, last_meaning: &str| {
        json!({
            "partition": { "description": "00…63: FNV-1a 32 bit of the routing key, mod 64." },
            "channel": { "description": "Where it happens.", "enum": ["instagram", "messenger"] },
            "account": { "description": "The account, as a subject token." },
            last: { "description": last_meaning },
        })
    };
    let event_messages: Map<String, Value> = Kind::ALL
        .iter()
        .map(|kind| (kind.to_string(), json!({ "$ref": format!("#/components/messages/{kind}") })))
        .collect();
    let mut messages: Map<String, Value> = Kind::ALL
        .iter()
        .map(|kind| {
            let message = json!({
                "name": Event::type_name(*kind),
                "summary": kind.meaning(),
                "contentType": "application/cloudevents+json",
                "payload": { "$ref": format!("./json/{kind}.v1.json") },
            });
            (kind.to_string(), message)
        })
        .collect();
    messages.insert(
        "command".to_owned(),
        json!({
            "name": "command",
            "summary": "A wish to act on Meta.",
            "contentType": "application/json",
            "payload": { "$ref": "./json/command.v1.json" },
        }),
    );
    messages.insert(
        "raw".to_owned(),
        json!({
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
        }),
    );
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "hookline streams",
            "version": "1.0.0",
            "description": "Normalised events of Instagram Direct, Messenger and comments, and commands to act on them. Delivery is at least once: drop what you have by id and revision.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": {
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
                "messages": event_messages,
            },
            "commands": {
                "address": "inbox.v1.command.{partition}.{channel}.{account}.{command}",
                "description": format!("Stream {}.", subjects::INBOX_COMMANDS),
                "parameters": parameters("command", "The name of the command."),
                "messages": { "command": { "$ref": "#/components/messages/command" } },
            },
        },
        "operations": {
            "receiveEvents": { "action": "receive", "channel": { "$ref": "#/channels/events" } },
            "sendCommand": { "action": "send", "channel": { "$ref": "#/channels/commands" } },
            "receiveRaw": { "action": "receive", "channel": { "$ref": "#/channels/raw" } },
        },
        "components": { "messages": messages },
    });
    let yaml = serde_norway::to_string(&document).expect("a JSON value is always YAML");
    format!("# Written by `make bless` from the types in schemas/src; do not edit.\n{yaml}")
}
