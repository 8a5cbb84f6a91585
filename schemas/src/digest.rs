//! ◆ Pure: digests. Ids and the comparison of readings rest on these bytes, so none of the encodings here ever changes.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// A sha256 that is fed piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// The digest of texts, in order: no two lists of texts collide.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
        let mut digest = Self::default();
        texts.into_iter().for_each(|text| digest.text(text));
        digest.finish()
    }

    /// The digest of bytes as they are.
    pub fn of_bytes(bytes: impl AsRef<[u8]>) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    /// Feeds bytes as they are.
    pub fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// Feeds a text, preceded by its length.
    pub fn text(&mut self, text: &str) {
        self.bytes((text.len() as u64).to_be_bytes());
        self.bytes(text);
    }

    /// Feeds a JSON value, whatever the order of its keys: a letter for the type, then the content.
    pub fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes("n"),
            Value::Bool(flag) => self.bytes(if *flag { "t" } else { "f" }),
            Value::Number(number) => {
                self.bytes("d");
                self.text(&number.to_string());
            }
            Value::String(string) => {
                self.bytes("s");
                self.text(string);
            }
            Value::Array(items) => {
                self.bytes("a");
                self.bytes((items.len() as u64).to_be_bytes());
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(fields) => {
                self.bytes("o");
                self.bytes((fields.len() as u64).to_be_bytes());
                for (key, item) in in_order(fields) {
                    self.text(key);
                    self.json(item);
                }
            }
        }
    }

    /// Feeds a JSON value of a raw payload, whatever the order of its keys: punctuation, and scalars as they are written. Ids are derived
    /// with this older encoding.
    pub(crate) fn raw_json(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                self.bytes("{");
                for (key, item) in in_order(fields) {
                    self.text(key);
                    self.raw_json(item);
                }
                self.bytes("}");
            }
            Value::Array(items) => {
                self.bytes("[");
                items.iter().for_each(|item| self.raw_json(item));
                self.bytes("]");
            }
            scalar => self.text(&scalar.to_string()),
        }
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The fields in the order of their keys, however a JSON library keeps them.
fn in_order(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| key.as_str());
    fields
}

/// The value as text, with the keys of objects in order and without fields that are `null`.
pub fn canonical_json(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => in_order(fields)
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect(),
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// These values were computed apart from this code: they must never change.
    #[test]
    fn the_encodings_stay_as_they_are() {
        let value = json!({"b": [1, 2.5, true, null, "x"], "a": {"d": false, "c": "é"}, "n": null});
        let hex_of = |feed: fn(&mut Digest, &Value)| {
            let mut digest = Digest::default();
            feed(&mut digest, &value);
            hex::encode(digest.finish())
        };
        assert_eq!(
            hex_of(Digest::json),
            "568b435d29cbcfc08b7b0cc393479b1628e7a72ba3b404577240071088fa89c2"
        );
        assert_eq!(
            hex_of(Digest::raw_json),
            "630b082e609c97cbcb3fb3ea9cd76a72a7ff1638b3df6a59f6b4a26a062cb1eb"
        );
        assert_eq!(
            canonical_json(&value),
            r#"{"a":{"c":"é","d":false},"b":[1,2.5,true,null,"x"]}"#
        );
        assert_eq!(
            hex::encode(Digest::of_texts(["ab", "c"])),
            "601d5476e2ccfe2c87a2bba7a322659734a05749d5b5aa781f513e4912db0d5f"
        );
    }
}
