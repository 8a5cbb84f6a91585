//! ◆ Pure: the components of a template: which there are, and that every placeholder is in order and has a sample.

use serde_json::Value;

use super::super::error::CommandError;

/// Longest body, characters.
const BODY_MAX: usize = 1024;
/// Longest header, characters.
const HEADER_MAX: usize = 60;
const BUTTONS_MAX: usize = 3;
const BUTTONS: [&str; 3] = ["POSTBACK", "URL", "PHONE_NUMBER"];

fn wrong(field: &str, reason: impl Into<String>) -> CommandError {
    CommandError::invalid(&format!("data.components.{field}"), reason)
}

/// Checks all components.
pub(super) fn check(components: &[Value], named: bool) -> Result<(), CommandError> {
    let mut seen = Vec::new();
    for component in components {
        let kind = component["type"].as_str().unwrap_or_default().to_ascii_uppercase();
        if seen.contains(&kind) {
            return Err(wrong("type", format!("{kind} stands there twice")));
        }
        match kind.as_str() {
            "BODY" => {
                let example = &component["example"];
                let samples = if named {
                    Samples::Named(&example["body_text_named_params"])
                } else {
                    Samples::Listed(&example["body_text"][0])
                };
                text("BODY", &component["text"], BODY_MAX, &samples)?;
            }
            "HEADER" => header(component, named)?,
            "BUTTONS" => buttons(component)?,
            _ => return Err(wrong("type", "use HEADER, BODY and BUTTONS")),
        }
        seen.push(kind);
    }
    if !seen.iter().any(|kind| kind == "BODY") {
        return Err(wrong("type", "a template has a BODY"));
    }
    Ok(())
}

/// The placeholders of the body, in their order; `None` where the body cannot be read.
pub fn body_placeholders(components: &Value) -> Option<Vec<String>> {
    let is_body =
        |one: &&Value| one["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("BODY"));
    let body = components.as_array()?.iter().find(is_body)?;
    placeholders(body["text"].as_str()?).ok()
}

enum Samples<'a> {
    /// One for each number.
    Listed(&'a Value),
    /// `{param_name, example}` for each name.
    Named(&'a Value),
}

fn header(component: &Value, named: bool) -> Result<(), CommandError> {
    let example = &component["example"];
    match component["format"].as_str().unwrap_or("TEXT") {
        "TEXT" => {
            let samples = if named {
                Samples::Named(&example["header_text_named_params"])
            } else {
                Samples::Listed(&example["header_text"])
            };
            let found = text("HEADER", &component["text"], HEADER_MAX, &samples)?;
            if 1 < found {
                return Err(wrong("HEADER.text", "at most one placeholder"));
            }
            Ok(())
        }
        "IMAGE" => {
            let handle = &example["header_handle"];
            let is_there = handle.is_string() || handle[0].is_string();
            if is_there {
                Ok(())
            } else {
                Err(wrong("HEADER.example.header_handle", "missing: an uploaded picture"))
            }
        }
        _ => Err(wrong("HEADER.format", "use TEXT or IMAGE")),
    }
}

fn buttons(component: &Value) -> Result<(), CommandError> {
    let buttons = component["buttons"].as_array().map_or(&[][..], Vec::as_slice);
    if buttons.is_empty() || BUTTONS_MAX < buttons.len() {
        return Err(wrong("BUTTONS.buttons", format!("1 to {BUTTONS_MAX}")));
    }
    for button in buttons {
        let kind = button["type"].as_str().unwrap_or_default();
        if !BUTTONS.contains(&kind) {
            // Meta answers QUICK_REPLY with `Fatal` and no word why (2018416).
            return Err(wrong("BUTTONS.buttons.type", "use POSTBACK, URL or PHONE_NUMBER"));
        }
        if button["text"].as_str().is_none_or(|text| text.trim().is_empty()) {
            return Err(wrong("BUTTONS.buttons.text", "must not be empty"));
        }
    }
    Ok(())
}

/// Checks a text with its placeholders; returns how many it has.
fn text(
    of: &str,
    value: &Value,
    chars_max: usize,
    samples: &Samples<'_>,
) -> Result<usize, CommandError> {
    let field = format!("{of}.text");
    let text = value.as_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || chars_max < text.chars().count() {
        return Err(wrong(&field, format!("1 to {chars_max} characters")));
    }
    let found = placeholders(text).map_err(|reason| wrong(&field, reason))?;
    if text.starts_with("{{") || text.ends_with("}}") {
        return Err(wrong(&field, "no placeholder at the start or end"));
    }
    match samples {
        Samples::Listed(samples) => {
            for (at, name) in found.iter().enumerate() {
                if *name != (at + 1).to_string() {
                    return Err(wrong(&field, "placeholders are {{1}}, {{2}}, … in this order"));
                }
            }
            let given = samples.as_array().map_or(&[][..], Vec::as_slice);
            if given.len() != found.len() || !given.iter().all(says_something) {
                let reason = format!("a sample for each of the {} placeholders", found.len());
                return Err(wrong(&format!("{of}.example"), reason));
            }
        }
        Samples::Named(samples) => {
            let given = samples.as_array().map_or(&[][..], Vec::as_slice);
            for name in &found {
                let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
                if !name.bytes().all(is_name) {
                    return Err(wrong(
                        &field,
                        "a named placeholder has lower-case letters and `_`",
                    ));
                }
                let sampled = given.iter().any(|sample| {
                    sample["param_name"] == name.as_str() && says_something(&sample["example"])
                });
                if !sampled {
                    return Err(wrong(
                        &format!("{of}.example"),
                        format!("a sample for {{{{{name}}}}}"),
                    ));
                }
            }
        }
    }
    Ok(found.len())
}

fn says_something(sample: &Value) -> bool {
    sample.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Names of the placeholders of a text, each once, in the order of their first use.
fn placeholders(text: &str) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, left)) = after.split_once("}}") else {
            return Err("a placeholder is not closed: use {{1}}".to_owned());
        };
        let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(of_name) {
            return Err("a placeholder is {{1}}, or {{name}} with NAMED".to_owned());
        }
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
        rest = left;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_of(components: Value, named: bool, expected: &str) {
        let said = check(components.as_array().unwrap(), named).err();
        let said = said.map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }

    fn body(text: &str, samples: Value) -> Value {
        json!([{"type": "BODY", "text": text, "example": {"body_text": [samples]}}])
    }

    #[test]
    fn placeholders_are_in_order_and_have_samples() {
        check_of(body("Order {{1}} comes on {{2}}. Thanks", json!(["A-1", "Friday"])), false, "");
        check_of(json!([{"type": "BODY", "text": "Thanks."}]), false, "");
        check_of(body("Order {{1}} comes. {{1}} it is.", json!(["A-1"])), false, "");
        check_of(body("Order {{2}} comes on {{1}}.", json!(["a", "b"])), false, "BODY.text");
        check_of(body("Order {{1}} comes on {{3}}.", json!(["a", "b"])), false, "BODY.text");
        check_of(body("{{1}} is your order.", json!(["a"])), false, "BODY.text");
        check_of(body("Your order is {{1}}", json!(["a"])), false, "BODY.text");
        check_of(body("Order {{1}} comes.", json!([])), false, "BODY.example");
        check_of(body("Order {{1}} comes.", json!([" "])), false, "BODY.example");
        check_of(body("Order {{1 comes.", json!(["a"])), false, "BODY.text");
        check_of(body("Order {{order}} comes.", json!(["a"])), false, "BODY.text");
        let named = |samples: Value| {
            json!([{"type": "BODY", "text": "Order {{order}} comes.",
                "example": {"body_text_named_params": samples}}])
        };
        check_of(named(json!([{"param_name": "order", "example": "A-1"}])), true, "");
        check_of(named(json!([])), true, "BODY.example");
    }

    #[test]
    fn components_that_meta_refuses_are_named() {
        let with = |more: Value| json!([{"type": "BODY", "text": "Thanks."}, more]);
        check_of(json!([]), false, "BODY");
        check_of(with(json!({"type": "BODY", "text": "again"})), false, "twice");
        check_of(with(json!({"type": "FOOTER", "text": "a"})), false, "type");
        let buttons =
            |kind: &str| json!({"type": "BUTTONS", "buttons": [{"type": kind, "text": "Track"}]});
        check_of(with(buttons("POSTBACK")), false, "");
        check_of(with(buttons("QUICK_REPLY")), false, "BUTTONS.buttons.type");
        check_of(
            with(
                json!({"type": "HEADER", "text": "Order {{1}} now", "example": {"header_text": ["A"]}}),
            ),
            false,
            "",
        );
        check_of(with(json!({"type": "HEADER", "format": "IMAGE"})), false, "header_handle");
        check_of(json!([{"type": "BODY", "text": "x".repeat(1025)}]), false, "BODY.text");
    }

    #[test]
    fn the_placeholders_of_a_body_are_found() {
        let components = body("Order {{1}} comes on {{2}}. Thanks", json!(["a", "b"]));
        assert_eq!(body_placeholders(&components), Some(vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(body_placeholders(&json!([])), None);
    }
}
