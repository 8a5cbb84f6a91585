//! ◆ Pure: the trace context of a message. The one place that says what a `traceparent` is: whatever came from outside passes here before
//! it is stored, logged or sent on.

use serde::{Deserialize, Deserializer};

/// Bytes of a `traceparent`: version, trace id, parent id and flags with the dashes between them.
const LENGTH: usize = 55;

/// `text`, where it is a `traceparent` as W3C Trace Context writes one (`00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not zero). `None`:
/// anything else, which is as good as none: a trace is a help for people, never a reason to refuse a message.
pub fn traceparent(text: &str) -> Option<&str> {
    if text.len() != LENGTH || !text.is_ascii() {
        return None;
    }
    let mut fields = text.split('-');
    let mut field = |length: usize| {
        fields.next().filter(|field| field.len() == length && field.bytes().all(is_lower_hex))
    };
    let (version, trace, parent, _flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    let zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    (version != "ff" && !zero(trace) && !zero(parent)).then_some(text)
}

/// [`traceparent`] of an owned text.
pub fn kept(text: Option<String>) -> Option<String> {
    text.filter(|text| traceparent(text).is_some())
}

/// Reads a field that may hold anything; what is no `traceparent` is left out.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(kept(value.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned)))
}

const fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_w3c_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(good), Some(good));
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\r",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
            "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(traceparent(wrong), None, "{wrong:?}");
        }
    }
}
