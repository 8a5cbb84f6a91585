//! ◆ Pure: a schema as the comparer sees it: references followed, `allOf` put together, alternatives one by one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Keywords that constrain nothing.
const ANNOTATIONS: &[&str] =
    &["$schema", "$id", "$defs", "title", "description", "example", "deprecated"];

/// Keywords that the comparer has a rule for.
const COMPARED: &[&str] = &[
    "$ref",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "const",
    "enum",
    "examples",
    "format",
    "default",
    "oneOf",
    "anyOf",
    "allOf",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Calls `see` with the place and name of every keyword of a schema and of those inside it that has no rule.
pub(crate) fn unknown_keywords(schema: &Value, at: &str, see: &mut impl FnMut(&str, &str)) {
    let Some(fields) = schema.as_object() else { return };
    for (name, value) in fields {
        let inside = format!("{at}/{name}");
        match (name.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => named
                .iter()
                .for_each(|(name, one)| unknown_keywords(one, &format!("{inside}/{name}"), see)),
            ("items" | "additionalProperties", one) => unknown_keywords(one, &inside, see),
            ("oneOf" | "anyOf" | "allOf", Value::Array(all)) => all
                .iter()
                .enumerate()
                .for_each(|(n, one)| unknown_keywords(one, &format!("{inside}/{n}"), see)),
            (name, _) if COMPARED.contains(&name) || ANNOTATIONS.contains(&name) => {}
            (name, _) => see(at, name),
        }
    }
}

/// A document with the schemas that its references name.
#[derive(Clone, Copy)]
pub(crate) struct Doc<'a>(pub &'a Value);

/// A schema of one type, of which a value may be.
pub(crate) struct Alternative {
    pub schema: Value,
    /// The reference that led to it.
    pub name: Option<String>,
}

impl Doc<'_> {
    /// What a schema says itself, wherever it stands, and the last reference that led there.
    pub(crate) fn resolved(&self, schema: &Value) -> Alternative {
        let mut schema = schema.clone();
        let mut names: Vec<String> = Vec::new();
        while let Some(reference) = schema["$ref"].as_str().map(str::to_owned) {
            let target = self.0.pointer(reference.trim_start_matches('#'));
            let target = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
            // What stands beside a reference holds, too.
            let mut both = target.clone();
            for (name, value) in schema.as_object().into_iter().flatten() {
                if name != "$ref" {
                    both[name] = value.clone();
                }
            }
            assert!(!names.contains(&reference), "{reference} leads to itself");
            names.push(reference);
            schema = both;
        }
        Alternative { schema: self.together(schema), name: names.pop() }
    }

    /// An object of several parts as one.
    fn together(&self, mut schema: Value) -> Value {
        let Some(Value::Array(parts)) = schema.as_object_mut().and_then(|all| all.remove("allOf"))
        else {
            return schema;
        };
        let parts = parts.iter().map(|part| self.resolved(part).schema);
        let mut whole = Map::new();
        for part in parts.chain([schema]) {
            for (name, value) in part.as_object().cloned().unwrap_or_default() {
                match (name.as_str(), whole.get_mut(&name), value) {
                    ("properties", Some(Value::Object(all)), Value::Object(more)) => {
                        all.extend(more);
                    }
                    ("required", Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                    ("oneOf" | "anyOf", Some(_), _) => panic!("{name} twice in an allOf"),
                    (_, _, value) => _ = whole.insert(name, value),
                }
            }
        }
        Value::Object(whole)
    }

    /// Each schema of which a value has to fulfil one, of one type each.
    pub(crate) fn alternatives(&self, schema: &Value) -> Vec<Alternative> {
        let Alternative { schema, name } = self.resolved(schema);
        if words(&schema).is_some() {
            return vec![Alternative { schema, name }];
        }
        if let Some(cases) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
            return cases.iter().flat_map(|case| self.alternatives(case)).collect();
        }
        let Some(types) = schema["type"].as_array() else {
            return vec![Alternative { schema, name }];
        };
        let of_type = |one: &Value| {
            let mut schema = schema.clone();
            schema["type"] = one.clone();
            Alternative { schema, name: name.clone() }
        };
        types.iter().map(of_type).collect()
    }
}

/// The type of a schema of one type; `None`: any.
pub(crate) fn type_of(schema: &Value) -> Option<String> {
    let of_value = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let named = schema["type"].as_str().map(str::to_owned);
    named
        .or_else(|| schema.get("const").map(|value| of_value(value).to_owned()))
        .or_else(|| words(schema).map(|_| "string".to_owned()))
        .or_else(|| schema.get("properties").map(|_| "object".to_owned()))
}

/// The words of a closed list.
pub(crate) fn words(schema: &Value) -> Option<BTreeSet<String>> {
    let cases = schema["oneOf"].as_array();
    let of_cases = cases.and_then(|cases| {
        cases.iter().map(|case| case["const"].as_str().map(str::to_owned)).collect()
    });
    of_cases.or_else(|| texts(&schema["enum"]))
}

/// The words of an open list.
pub(crate) fn examples(schema: &Value) -> BTreeSet<String> {
    texts(&schema["examples"]).unwrap_or_default()
}

fn texts(list: &Value) -> Option<BTreeSet<String>> {
    list.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
}

/// What an object allows beside the fields it names: anything, nothing, or values of a schema.
pub(crate) fn beside(schema: &Value) -> Value {
    schema.get("additionalProperties").cloned().unwrap_or(json!(true))
}
