//! ◆ Pure: JSON as Meta writes it: keys in a chosen order, ASCII only, `\uXXXX` and `\/` (docs/meta-platform.md 2).

use std::fmt::Write as _;

/// A JSON value whose object keys keep their order, because Meta's bodies have one and the signature covers it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, kept as its digits so that ids beyond 2^53 stay exact.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object in writing order.
    Object(Vec<(String, Node)>),
}

/// An object from its keys in writing order.
pub(crate) fn object<const N: usize>(fields: [(&str, Node); N]) -> Node {
    Node::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Node {
    /// This object with one more key at its end; anything but an object stays as it is.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Node>) -> Node {
        if let Node::Object(fields) = &mut self {
            fields.push((key.to_owned(), value.into()));
        }
        self
    }

    /// As [`Node::with`], unless there is no value.
    pub(crate) fn with_some(self, key: &str, value: Option<impl Into<Node>>) -> Node {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The bytes Meta would send and sign: one line, ASCII, escaped.
    pub(crate) fn to_meta_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        write(self, &mut out);
        out.into_bytes()
    }
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Number(digits) => out.push_str(digits),
        Node::Text(text) => write_text(text, out),
        Node::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if 0 < index {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Node::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if 0 < index {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // The four that Meta writes with capital digits; everything else has lower-case ones.
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '%' => out.push_str("\\u0025"),
            '@' => out.push_str("\\u0040"),
            ' '..='~' => out.push(character),
            other => {
                let mut units = [0_u16; 2];
                for unit in other.encode_utf16(&mut units) {
                    // Writing into a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

impl From<&str> for Node {
    fn from(text: &str) -> Node {
        Node::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Node {
        Node::Text(text)
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Node {
        Node::Bool(value)
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Node {
        Node::Number(value.to_string())
    }
}

impl From<u64> for Node {
    fn from(value: u64) -> Node {
        Node::Number(value.to_string())
    }
}

impl From<Vec<Node>> for Node {
    fn from(items: Vec<Node>) -> Node {
        Node::List(items)
    }
}

impl From<serde_json::Value> for Node {
    fn from(value: serde_json::Value) -> Node {
        use serde_json::Value;
        match value {
            Value::Null => Node::Null,
            Value::Bool(value) => Node::Bool(value),
            Value::Number(number) => Node::Number(number.to_string()),
            Value::String(text) => Node::Text(text),
            Value::Array(items) => Node::List(items.into_iter().map(Node::from).collect()),
            Value::Object(fields) => {
                Node::Object(fields.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

/// Reads JSON keeping the order of its keys, for comparing with captured bodies.
#[cfg(test)]
impl Node {
    pub(crate) fn from_ordered(bytes: &[u8]) -> Node {
        serde_json::from_slice(bytes).expect("JSON")
    }
}

#[cfg(test)]
impl<'de> serde::Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        struct Reader;
        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Node;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(value.into())
            }
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(value.into())
            }
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(value.into())
            }
            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(text.into())
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Node::Object(fields))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_written_is_ascii_and_reads_back_the_same(text in any::<String>()) {
            let bytes = object([("text", text.as_str().into())]).to_meta_bytes();
            prop_assert!(bytes.is_ascii());
            let read: serde_json::Value = serde_json::from_slice(&bytes).expect("valid JSON");
            prop_assert_eq!(read["text"].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn escapes_as_meta_does() {
        let node = Node::from("Grüße 😊 https://x/?a=1&b <é> 5% me@x\n\u{1}\u{7f}");
        let written = String::from_utf8(node.to_meta_bytes()).expect("ASCII");
        assert_eq!(
            written,
            r#""Gr\u00fc\u00dfe \ud83d\ude0a https:\/\/x\/?a=1&b \u003C\u00e9\u003E 5\u0025 me\u0040x\n\u0001\u007f""#
        );
    }
}
