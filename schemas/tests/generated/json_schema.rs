//! The JSON Schemas of events and commands.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use schemas::command::{
    AccountData, COMMANDS, CommentCreateData, CommentRef, CommentTextData, ReplyData,
    SenderActionData, SyncData, UncheckedCommand,
};
use schemas::{Data, Event, Kind};
use serde_json::{Map, Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

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
pub(crate) fn event_schema(kind: Kind) -> Value {
    let mut generator = generator();
    let (mut properties, mut required) = object_parts(Data::json_schema(&mut generator));
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
pub(crate) fn command_schema() -> Value {
    let mut generator = generator();
    let (mut properties, required) = object_parts(UncheckedCommand::json_schema(&mut generator));
    properties.insert("command".to_owned(), json!({ "enum": COMMANDS }));
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
        ("account_subscribe", AccountData::json_schema(&mut generator)),
        ("account_refresh", AccountData::json_schema(&mut generator)),
        ("account_disconnect", AccountData::json_schema(&mut generator)),
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
