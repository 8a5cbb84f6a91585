//! The JSON Schemas of events and commands.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use schemas::command::{
    AccountData, COMMANDS, CommentCreateData, CommentHideManyData, CommentRef, CommentTextData,
    ConversionData, InsightsData, MediaSyncData, ReplyData, ReplyRef, ResolveData,
    SenderActionData, SyncData, TemplateRef, TemplateSendData, TemplateSubmitData,
    UncheckedCommand,
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

/// Formats that JSON Schema does not know go.
fn known_formats(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("format").is_some_and(|format| format == "uint32" || format == "uint64") {
                fields.remove("format");
            }
            fields.values_mut().for_each(known_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(known_formats),
        _ => {}
    }
}

/// What subscribers may rely on: words are open, and what is absent is left out and never null. Commands are not opened: a word that the
/// worker refuses is no command, and it takes null for what is absent.
fn open(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    fields["type"] = only.clone();
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [only] = choices.as_slice() {
                    let only = only.clone();
                    fields.remove("anyOf");
                    fields.extend(only.as_object().cloned().unwrap_or_default());
                }
            }
            if let Some(words) = words_of(fields) {
                fields.retain(|name, _| name != "oneOf" && name != "enum");
                fields.insert("type".to_owned(), json!("string"));
                fields.insert("examples".to_owned(), Value::Array(words));
            }
            fields.values_mut().for_each(open);
        }
        Value::Array(items) => items.iter_mut().for_each(open),
        _ => {}
    }
}

/// The words of a list of words, as schemars writes one.
fn words_of(fields: &Map<String, Value>) -> Option<Vec<Value>> {
    let words = match (fields.get("oneOf"), fields.get("enum")) {
        (Some(Value::Array(choices)), _) => {
            choices.iter().map(|choice| choice.get("const").cloned()).collect::<Option<Vec<_>>>()?
        }
        (None, Some(Value::Array(words))) => words.clone(),
        _ => return None,
    };
    let words: Vec<Value> = words.into_iter().filter(|word| !word.is_null()).collect();
    words.iter().all(Value::is_string).then_some(words)
}

/// The JSON Schema of the whole envelope of one kind.
pub(crate) fn event_schema(kind: Kind) -> Value {
    let mut generator = generator();
    let mut schema = envelope(kind, &mut generator);
    schema["$schema"] = json!(DIALECT);
    schema["$id"] = json!(Event::data_schema(kind));
    with_definitions(&mut schema, generator.take_definitions(true));
    known_formats(&mut schema);
    open(&mut schema);
    schema
}

fn with_definitions(schema: &mut Value, definitions: Map<String, Value>) {
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
}

/// `message.received` as `MessageReceived`.
fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>())
    };
    name.split(['.', '_']).filter_map(word).collect()
}

/// All kinds in one schema, with what they share once.
pub(crate) fn events_bundle() -> Value {
    let mut generator = generator();
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        let mut schema = envelope(*kind, &mut generator);
        schema["title"] = json!(pascal(kind.as_str()));
        kinds.push((pascal(kind.as_str()), schema));
    }
    let mut events =
        bundle("events", "HooklineEvent", "An event, by its `type`.", kinds, generator);
    open(&mut events);
    events
}

/// All commands that this version carries out in one schema.
pub(crate) fn commands_bundle() -> Value {
    let mut generator = generator();
    let mut commands = Vec::new();
    for (name, data) in data_of_commands(&mut generator) {
        let (mut properties, mut required) =
            object_parts(UncheckedCommand::json_schema(&mut generator));
        properties.insert("command".to_owned(), json!({ "const": name }));
        properties.insert("data".to_owned(), data);
        if !required.contains(&json!("data"))
            && !["media_sync", "sync", "account_subscribe", "account_refresh", "account_disconnect"]
                .contains(&name)
        {
            required.push(json!("data"));
        }
        let title = pascal(name);
        let schema = json!({
            "title": title, "type": "object", "required": required, "properties": properties,
        });
        commands.push((title, schema));
    }
    bundle(
        "commands",
        "HooklineCommand",
        "A wish to act on Meta, by its `command`.",
        commands,
        generator,
    )
}

fn bundle(
    name: &str,
    title: &str,
    description: &str,
    members: Vec<(String, Value)>,
    mut generator: SchemaGenerator,
) -> Value {
    let mut definitions = generator.take_definitions(true);
    let mut cases = Vec::new();
    for (title, schema) in members {
        cases.push(json!({ "$ref": format!("#/$defs/{title}") }));
        assert!(definitions.insert(title.clone(), schema).is_none(), "two definitions `{title}`");
    }
    let mut bundle = json!({
        "$schema": DIALECT,
        "$id": format!("hookline:schemas/{name}.v1.json"),
        "title": title,
        "description": description,
        "oneOf": cases,
    });
    with_definitions(&mut bundle, definitions);
    known_formats(&mut bundle);
    bundle
}

fn envelope(kind: Kind, generator: &mut SchemaGenerator) -> Value {
    let (mut properties, mut required) = object_parts(Data::json_schema(generator));
    let (body_properties, body_required) = object_parts(kind.body_schema(generator));
    properties.extend(body_properties);
    required.extend(body_required);
    json!({
        "title": Event::type_name(kind),
        "description": kind.meaning(),
        "type": "object",
        "required": ["specversion", "id", "type", "source", "time", "datacontenttype", "dataschema", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1 },
            "type": { "const": Event::type_name(kind) },
            "source": { "type": "string", "format": "uri-reference" },
            "subject": { "type": "string", "minLength": 1, "description": "The conversation; absent without a person." },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "const": Event::data_schema(kind) },
            "traceparent": { "type": "string" },
            "data": { "type": "object", "required": required, "properties": properties },
        },
    })
}

/// The JSON Schema of a command: the envelope, and the data of each command this version carries out.
pub(crate) fn command_schema() -> Value {
    let mut generator = generator();
    let (mut properties, required) = object_parts(UncheckedCommand::json_schema(&mut generator));
    properties.insert("command".to_owned(), json!({ "enum": COMMANDS }));
    let cases: Vec<Value> = data_of_commands(&mut generator)
        .into_iter()
        .map(|(name, schema)| {
            json!({
                "if": { "properties": { "command": { "const": name } } },
                "then": { "properties": { "data": schema } },
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
    with_definitions(&mut schema, generator.take_definitions(true));
    known_formats(&mut schema);
    schema
}

/// The data of each command this version carries out.
fn data_of_commands(generator: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    let data = [
        ("reply", ReplyData::json_schema(generator)),
        ("sender_action", SenderActionData::json_schema(generator)),
        ("comment_reply", CommentTextData::json_schema(generator)),
        ("comment_private_reply", CommentTextData::json_schema(generator)),
        ("comment_create", CommentCreateData::json_schema(generator)),
        ("comment_hide", CommentRef::json_schema(generator)),
        ("comment_unhide", CommentRef::json_schema(generator)),
        ("comment_delete", CommentRef::json_schema(generator)),
        ("comment_hide_many", CommentHideManyData::json_schema(generator)),
        ("media_sync", MediaSyncData::json_schema(generator)),
        ("sync", SyncData::json_schema(generator)),
        ("account_subscribe", AccountData::json_schema(generator)),
        ("account_refresh", AccountData::json_schema(generator)),
        ("account_disconnect", AccountData::json_schema(generator)),
        ("reply_cancel", ReplyRef::json_schema(generator)),
        ("reply_resolve", ResolveData::json_schema(generator)),
        ("insights_refresh", InsightsData::json_schema(generator)),
        ("conversion_event", ConversionData::json_schema(generator)),
        ("template_submit", TemplateSubmitData::json_schema(generator)),
        ("template_status", TemplateRef::json_schema(generator)),
        ("template_send", TemplateSendData::json_schema(generator)),
    ];
    data.into_iter().map(|(name, schema)| (name, schema.to_value())).collect()
}
