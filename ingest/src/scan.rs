//! ◆ Pure: a shallow look into a body, good enough to choose a shard and never more than that.
//!
//! No JSON parse decides whether a webhook is taken: what is found here only chooses the shard, so that the webhooks of one account are read
//! in order. For a body that is not JSON the result is arbitrary but always the same, and it never panics.

use std::borrow::Cow;

/// The first `entry[].id` of a body, as text; `None` where there is none. A body in `[ ]` counts as unwrapped, as the normaliser
/// reads it too.
pub(crate) fn first_entry_id(body: &[u8]) -> Option<Cow<'_, str>> {
    let mut cursor = Cursor { bytes: body, at: 0 };
    cursor.spaces();
    match cursor.peek()? {
        b'{' => webhook(&mut cursor),
        b'[' => {
            let mut found = None;
            cursor.elements(|cursor| {
                found = webhook(cursor);
                found.is_none()
            });
            found
        }
        _ => None,
    }
}

/// What kind of webhook a body claims to be, as one of a few fixed words: safe in a log line about an unsigned body.
pub(crate) fn object_class(body: &[u8]) -> &'static str {
    let mut cursor = Cursor { bytes: body, at: 0 };
    cursor.spaces();
    let mut class = "none";
    cursor.members(|key, cursor| {
        if key != b"object" {
            return cursor.skip_value();
        }
        class = match cursor.scalar().as_deref() {
            Some("instagram") => "instagram",
            Some("page") => "page",
            Some("whatsapp_business_account") => "whatsapp_business_account",
            Some("user" | "permissions" | "application") => "app",
            _ => "other",
        };
        false
    });
    class
}

fn webhook<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    let mut found = None;
    cursor.members(|key, cursor| {
        if key != b"entry" {
            return cursor.skip_value();
        }
        // One entry without its brackets is read as well.
        if cursor.peek() == Some(b'{') {
            found = entry(cursor);
            return found.is_none();
        }
        cursor.elements(|cursor| {
            found = entry(cursor);
            found.is_none()
        }) && found.is_none()
    });
    found
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    let mut found = None;
    cursor.members(|key, cursor| {
        if key != b"id" {
            return cursor.skip_value();
        }
        found = cursor.scalar();
        found.is_none()
    });
    found
}

/// A place in the body. Methods that return `bool`: whether it makes sense to go on from where they stopped.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over `wanted`, with spaces before and after it.
    fn take(&mut self, wanted: u8) -> bool {
        self.spaces();
        let there = self.peek() == Some(wanted);
        if there {
            self.at += 1;
            self.spaces();
        }
        there
    }

    /// Visits the members of an object; `visit` must step over the value, or answer `false` to stop. Anything else is stepped over.
    fn members(&mut self, mut visit: impl FnMut(&[u8], &mut Self) -> bool) -> bool {
        if self.peek() != Some(b'{') {
            return self.skip_value();
        }
        self.take(b'{');
        while self.peek() == Some(b'"') {
            let Some(key) = self.string() else { return false };
            // Keys hold escapes only where somebody plays games; then they are read as they mean.
            let key = unescape(key);
            if !self.take(b':') || !visit(key.as_ref().map_or(b"", |key| key.as_bytes()), self) {
                return false;
            }
            if !self.take(b',') {
                break;
            }
        }
        self.take(b'}')
    }

    /// Visits the elements of an array; `visit` must step over the element, or answer `false` to stop. Anything else is stepped over.
    fn elements(&mut self, mut visit: impl FnMut(&mut Self) -> bool) -> bool {
        if self.peek() != Some(b'[') {
            return self.skip_value();
        }
        self.take(b'[');
        if self.take(b']') {
            return true;
        }
        loop {
            let before = self.at;
            if !visit(self) || self.at == before {
                return false;
            }
            if !self.take(b',') {
                return self.take(b']');
            }
        }
    }

    /// The bytes between the quotes of a string, escapes as they stand.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        self.bytes.get(start..at)
    }

    /// Steps over a value of any kind. Depth is counted, not recursed into: a body of brackets costs no stack.
    fn skip_value(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            self.spaces();
            match self.peek() {
                None => return false,
                Some(b'"') => {
                    if self.string().is_none() {
                        return false;
                    }
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') => {
                    let Some(outer) = depth.checked_sub(1) else { return false };
                    depth = outer;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    if self.bare().is_empty() {
                        return false;
                    }
                }
            }
            if depth == 0 {
                return true;
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| {
            matches!(
                byte,
                b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
            )
        };
        let bare = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        self.at += bare.len();
        bare
    }

    /// Text of a string or number; `None` steps over what is neither.
    fn scalar(&mut self) -> Option<Cow<'a, str>> {
        match self.peek()? {
            b'"' => unescape(self.string()?),
            b'-' | b'0'..=b'9' => std::str::from_utf8(self.bare()).ok().map(Cow::Borrowed),
            _ => {
                self.skip_value();
                None
            }
        }
    }
}

/// What a JSON string means; `None` where it means nothing.
fn unescape(raw: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(raw).ok()?;
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str::<String>(&format!("\"{text}\"")).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn id(body: &str) -> Option<String> {
        first_entry_id(body.as_bytes()).map(Cow::into_owned)
    }

    #[test]
    fn the_first_entry_with_an_id_decides() {
        for (body, expected) in [
            (r#"{"object":"page","entry":[{"id":"1","time":2}]}"#, Some("1")),
            (
                r#"{"entry":[{"time":2,"messaging":[{"id":"9","x":[{}]}],"id":"1"},{"id":"2"}]}"#,
                Some("1"),
            ),
            (
                r#" { "a" : {"entry":[{"id":"9"}]} , "entry" : [ { "id" : 103000000000301 } ] } "#,
                Some("103000000000301"),
            ),
            (r#"[{"object":"instagram","entry":[{"id":"7"}]}]"#, Some("7")),
            (r#"{"entry":[{"id":"\u0031\/\"x"}]}"#, Some("1/\"x")),
            (r#"{"\u0065ntry":[{"id":"5"}]}"#, Some("5")),
            (r#"{"entry":[{"id":null},{"id":{"id":"3"}},7,{"id":"2"}]}"#, Some("2")),
            (r#"{"entry":[{"id":"0"}]}"#, Some("0")),
            (r#"{"entry":{"id":"4"}}"#, Some("4")),
            (r#"{"entry":[]}"#, None),
            (r#"{"entry":[{"time":1}]}"#, None),
            (r#"{"id":"1"}"#, None),
            (r#""entry""#, None),
            ("entry", None),
            ("", None),
            (r#"{"entry":[{"id":"1"#, None),
        ] {
            assert_eq!(id(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = "[".repeat(1 << 20);
        assert_eq!(id(&deep), None);
        assert_eq!(id(&format!(r#"{{"a":{deep}"#)), None);
        let closed = format!(r#"{{"a":{}{},"entry":[{{"id":"1"}}]}}"#, deep, "]".repeat(1 << 20));
        assert_eq!(id(&closed).as_deref(), Some("1"));
    }

    #[test]
    fn the_class_is_a_fixed_word() {
        assert_eq!(object_class(br#"{"entry":[{"object":"x"}],"object":"page"}"#), "page");
        assert_eq!(object_class(br#"{"object":"<script>"}"#), "other");
        assert_eq!(object_class(b"\xff\xfe"), "none");
    }

    /// What a real parser finds.
    fn reference(body: &Value) -> Option<String> {
        let webhooks = match body {
            Value::Array(webhooks) => webhooks.as_slice(),
            one => std::slice::from_ref(one),
        };
        webhooks.iter().find_map(|webhook| {
            let entries = match webhook.get("entry")? {
                Value::Array(entries) => entries.as_slice(),
                one => std::slice::from_ref(one),
            };
            entries.iter().find_map(|entry| match entry.get("id")? {
                Value::String(id) => Some(id.clone()),
                Value::Number(id) => Some(id.to_string()),
                _ => None,
            })
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[0-9]{1,17}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let key = prop_oneof![
                4 => Just("id".to_owned()),
                4 => Just("entry".to_owned()),
                1 => any::<String>(),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_bytes(body in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = first_entry_id(&body);
            let _ = object_class(&body);
        }

        #[test]
        fn never_panics_on_almost_json(body in r#"[\[\]{}:,"\\ entryidu0-9.a-f]{0,200}"#) {
            let _ = first_entry_id(body.as_bytes());
        }

        #[test]
        fn agrees_with_a_real_parser(entries in value(), other in value(), pretty in any::<bool>()) {
            for body in [json!({"a": other, "entry": entries, "z": 1}), json!([entries, {"entry": other}])] {
                let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
                let found = first_entry_id(&text).map(Cow::into_owned);
                prop_assert_eq!(found, reference(&body));
            }
        }

        #[test]
        fn a_cut_body_never_panics(entries in value(), cut in any::<prop::sample::Index>()) {
            let text = serde_json::to_vec(&json!({"entry": [entries]})).unwrap();
            let _ = first_entry_id(&text[..cut.index(text.len())]);
        }
    }
}
