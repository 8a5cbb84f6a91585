//! ◆ Pure: JSON read field by field, so that one odd field costs nothing but itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::digest::Digest;

/// Deeper than any payload of Meta; what lies below is left out.
const DEPTH_MAX: u32 = 32;
/// Longer than any id of Meta by far, and short enough to be a key in a database.
const ID_BYTES_MAX: usize = 1024;
/// Paths that go into the fingerprint of a shape: no payload of Meta has as many.
const PATHS_MAX: usize = 4096;
/// Largest integer that every JSON reader keeps exactly.
const SAFE_INTEGER_MAX: u64 = 1 << 53;

/// An object of a raw payload; its fields are still text.
#[derive(Clone, Debug, Default)]
pub struct Node<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Node<'a> {
    /// Reads an object; `None` for anything else.
    pub fn parse(raw: &'a RawValue) -> Option<Self> {
        Self::parse_text(raw.get())
    }

    fn parse_text(text: &'a str) -> Option<Self> {
        if !text.trim_start().starts_with('{') {
            return None;
        }
        serde_json::from_str::<Fields<'a>>(text).ok().map(|fields| Self(fields.0))
    }

    /// The names of its fields, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether the field is there, also as `null`.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A field as it was written; `null` counts as absent.
    pub fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.0.get(key).copied().filter(|raw| raw.get() != "null")
    }

    /// A field that is an object.
    pub fn node(&self, key: &str) -> Option<Self> {
        self.raw(key).and_then(Self::parse)
    }

    /// A field that is an array, item by item. An object stands for an array of one.
    pub fn list(&self, key: &str) -> Vec<&'a RawValue> {
        self.raw(key).map(list).unwrap_or_default()
    }

    /// A text field. Numbers and flags are given as they were written.
    pub fn text(&self, key: &str) -> Option<String> {
        self.raw(key).and_then(text)
    }

    /// An id: text, or the exact digits of a number (docs/meta-platform.md 0). Empty is absent, and so is what is longer than
    /// 1024 bytes: an id is never cut.
    pub fn id(&self, key: &str) -> Option<String> {
        self.raw(key).and_then(id)
    }

    /// A whole number, also written as text.
    pub fn integer(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        text.trim().parse().ok()
    }

    /// A flag: `true`, also written as text or 1.
    pub fn flag(&self, key: &str) -> bool {
        self.optional_flag(key).unwrap_or(false)
    }

    /// A flag that may be absent or unreadable.
    pub fn optional_flag(&self, key: &str) -> Option<bool> {
        match self.text(key)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// A time in any of Meta's spellings: [`Timestamp::parse_meta`].
    pub fn time(&self, key: &str) -> Option<Timestamp> {
        self.text(key).and_then(|text| Timestamp::parse_meta(&text))
    }

    /// A field as JSON: see [`json`].
    pub fn json(&self, key: &str) -> Option<Value> {
        self.raw(key).map(json)
    }

    /// Hex of a hash over its content, whatever the order of its fields.
    pub fn hash(&self) -> String {
        let value =
            Value::Object(self.0.iter().map(|(key, raw)| (key.clone(), json(raw))).collect());
        let mut digest = Digest::default();
        digest.raw_json(&value);
        hex::encode(digest.finish())
    }

    /// Fingerprint of its shape: hex of a hash over sorted paths and JSON types. No content can be read from it.
    pub fn shape(&self) -> String {
        let mut paths = BTreeSet::new();
        for (key, raw) in &self.0 {
            shape(&mut paths, format!(".{}", cut(key)), &json(raw));
        }
        let mut digest = Digest::default();
        for path in paths {
            digest.bytes(path);
            digest.bytes([0]);
        }
        let mut text = hex::encode(digest.finish());
        text.truncate(32);
        text
    }
}

/// The first 64 characters: enough for every name Meta uses.
pub fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The items of an array; an object stands for an array of one, anything else for none.
pub fn list(raw: &RawValue) -> Vec<&RawValue> {
    match raw.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(raw.get()).unwrap_or_default(),
        Some(b'{') => vec![raw],
        _ => Vec::new(),
    }
}

/// A scalar as text; `None` for objects, arrays and `null`.
pub fn text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => string(raw.get()),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// A scalar as an id: see [`Node::id`].
pub fn id(raw: &RawValue) -> Option<String> {
    text(raw).filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX)
}

/// Any JSON as a value: integers beyond 2^53 and numbers under names that end in `id` become text, so that no reader rounds an
/// id; what is nested too deeply becomes `null`.
pub fn json(raw: &RawValue) -> Value {
    value(raw, false, DEPTH_MAX)
}

fn value(raw: &RawValue, is_id: bool, depth: u32) -> Value {
    let written = raw.get();
    match written.as_bytes().first() {
        _ if depth == 0 => Value::Null,
        Some(b'{') => {
            let node = Node::parse(raw).unwrap_or_default();
            let fields = node.0.iter().map(|(key, raw)| {
                let is_id = key == "id" || key.ends_with("_id");
                (key.clone(), value(raw, is_id, depth - 1))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some(b'[') => list(raw).into_iter().map(|item| value(item, is_id, depth - 1)).collect(),
        Some(b'"') => string(written).map_or(Value::Null, Value::String),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => number(written, is_id),
    }
}

fn number(written: &str, is_id: bool) -> Value {
    let exact = || Value::String(written.to_owned());
    if is_id {
        return exact();
    }
    match serde_json::from_str::<Value>(written) {
        Ok(Value::Number(number)) => {
            let whole = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            match whole {
                Some(whole) if whole <= SAFE_INTEGER_MAX => Value::Number(number),
                None if written.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                    Value::Number(number)
                }
                _ => exact(),
            }
        }
        _ => exact(),
    }
}

/// A JSON string, decoded once. Half of a surrogate pair and NUL, which no database stores, become U+FFFD.
fn string(written: &str) -> Option<String> {
    serde_json::from_str::<Lossy>(written).ok().map(|text| text.0)
}

/// A decoded JSON string in which nothing is left that a database refuses.
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                let text = match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    // Half a pair is three bytes here, each of which would become its own replacement.
                    Err(_) => String::from_utf8_lossy(bytes)
                        .replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}"),
                };
                Ok(Lossy(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }))
            }
        }
        // As text, half a surrogate pair would be an error.
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The fields of an object; of a name written twice the last one counts.
struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Lossy(key), raw)) = map.next_entry()? {
                    fields.insert(key, raw);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn shape(paths: &mut BTreeSet<String>, path: String, value: &Value) {
    if paths.len() >= PATHS_MAX {
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().for_each(|item| shape(paths, format!("{path}[]"), item));
            "array"
        }
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(key, item)| shape(paths, format!("{path}.{}", cut(key)), item));
            "object"
        }
    };
    paths.insert(format!("{path}:{kind}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node<'_> {
        Node::parse_text(text).unwrap()
    }

    #[test]
    fn ids_keep_every_digit_of_a_number() {
        let node = node(
            r#"{"a": 73000000000001119, "b": 340282366841710300949128000000000000011, "c": "x", "d": null, "e": ""}"#,
        );
        assert_eq!(node.id("a").as_deref(), Some("73000000000001119"));
        assert_eq!(node.id("b").as_deref(), Some("340282366841710300949128000000000000011"));
        assert_eq!(node.id("c").as_deref(), Some("x"));
        assert_eq!((node.id("d"), node.id("e")), (None, None));
        let long = format!(r#"{{"id": "{}"}}"#, "x".repeat(1025));
        assert_eq!(self::node(&long).id("id"), None);
    }

    #[test]
    fn payloads_never_round_an_id() {
        let node = node(
            r#"{"p": {"sticker_id": 369, "big": 9007199254740993, "small": 7, "ratio": 0.5, "l": [18446744073709551616]}}"#,
        );
        let json = node.json("p").unwrap();
        let expected = serde_json::json!({
            "sticker_id": "369", "big": "9007199254740993", "small": 7, "ratio": 0.5, "l": ["18446744073709551616"]
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn half_surrogates_and_nul_do_not_lose_the_text() {
        let node = node(r#"{"cut": "hi \ud83d", "nul": "a\u0000b", "emoji": "\ud83d\ude0a"}"#);
        assert_eq!(node.text("cut").as_deref(), Some("hi \u{fffd}"));
        assert_eq!(node.text("nul").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(node.text("emoji").as_deref(), Some("😊"));
    }

    #[test]
    fn an_odd_name_costs_no_neighbour() {
        let node = node(r#"{"\ud83d": 1, "a\u0000b": 2, "mid": "m", "mid": "n"}"#);
        assert_eq!(node.text("mid").as_deref(), Some("n"));
        assert_eq!(node.keys().collect::<Vec<_>>(), ["a\u{fffd}b", "mid", "\u{fffd}"]);
    }

    #[test]
    fn a_wide_and_deep_object_has_a_bounded_shape() {
        let wide: Vec<String> = (0..20_000).map(|n| format!(r#""k{n}":1"#)).collect();
        let deep = (0..30).fold(format!("{{{}}}", wide.join(",")), |inner, _| {
            format!(r#"{{"{}":{inner}}}"#, "k".repeat(64))
        });
        assert_eq!(node(&deep).shape().len(), 32);
    }

    #[test]
    fn hashes_ignore_order_and_shapes_ignore_content() {
        assert_eq!(node(r#"{"a":1,"b":[2]}"#).hash(), node(r#"{ "b":[2], "a":1 }"#).hash());
        assert_ne!(node(r#"{"a":1}"#).hash(), node(r#"{"a":2}"#).hash());
        assert_eq!(node(r#"{"a":"x","l":[1,2]}"#).shape(), node(r#"{"a":"y","l":[3]}"#).shape());
        assert_ne!(node(r#"{"a":"x"}"#).shape(), node(r#"{"a":1}"#).shape());
    }

    #[test]
    fn what_is_nested_too_deeply_is_left_out() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert!(node(&deep).json("a").is_some());
        assert_eq!(node(r#"{"a": "yes", "b": "true", "c": 1}"#).optional_flag("a"), None);
    }
}
