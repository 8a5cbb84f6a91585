//! ◆ Pure: the personal fields of a conversion: normalised and hashed before anything keeps them (docs/meta-platform-2.md 19).
//!
//! The api hashes; the worker refuses what is not hashed. No error here quotes a value.

use serde_json::{Map, Value};

use super::error::CommandError;
use crate::ids::sha256_hex;

/// Fields that name a person: only their hash is kept or sent.
pub const PERSONAL: [&str; 10] = ["em", "ph", "fn", "ln", "ct", "st", "zp", "country", "db", "ge"];
/// Fields that Meta wants as they are: ids, and what a browser says of itself.
const PLAIN: [&str; 14] = [
    "page_id",
    "page_scoped_user_id",
    "instagram_business_account_id",
    "ig_account_id",
    "ig_sid",
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "ctwa_clid",
    "whatsapp_business_account_id",
    "lead_id",
    "madid",
];

/// Normalises and hashes every personal field. What is a hash already is left as it is.
///
/// # Errors
/// [`CommandError::Invalid`] naming the field, without its value.
pub fn hash_personal(user_data: &mut Map<String, Value>) -> Result<(), CommandError> {
    for name in PERSONAL {
        let Some(value) = user_data.get_mut(name) else { continue };
        let wrong = || CommandError::invalid(&field(name), expected(name));
        match value {
            Value::Array(items) => {
                for item in items {
                    *item = hashed(name, item).ok_or_else(wrong)?.into();
                }
            }
            one => *one = hashed(name, one).ok_or_else(wrong)?.into(),
        }
    }
    Ok(())
}

/// Checks that every personal field is hashed, and that no other field is there than those Meta knows.
///
/// # Errors
/// [`CommandError::Invalid`] naming the field, without its value.
pub(super) fn check_hashed(user_data: &Map<String, Value>) -> Result<(), CommandError> {
    for (name, value) in user_data {
        if PLAIN.contains(&name.as_str()) {
            let short = |text: &str| !text.is_empty() && text.len() <= 1024;
            if !value.as_str().is_some_and(short) {
                return Err(CommandError::invalid(&field(name), "1 to 1024 bytes of text"));
            }
            continue;
        }
        // Its name may be what it should not hold.
        let Some(known) = PERSONAL.iter().find(|known| *known == name) else {
            return Err(CommandError::invalid(
                "data.user_data",
                "holds a field that Meta does not know; personal ones are em, ph, fn, ln, ct, st, zp, country, db, ge",
            ));
        };
        let all = match value {
            Value::Array(items) => !items.is_empty() && items.iter().all(is_hash),
            one => is_hash(one),
        };
        if !all {
            let reason = "must be hashed: SHA-256 of the normalised text, 64 hexadecimal digits; a value in clear is not taken";
            return Err(CommandError::invalid(&field(known), reason));
        }
    }
    Ok(())
}

fn field(name: &str) -> String {
    format!("data.user_data.{name}")
}

fn is_hash(value: &Value) -> bool {
    value.as_str().is_some_and(is_hash_text)
}

fn is_hash_text(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hashed(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let text = text.trim();
    if is_hash_text(text) {
        return Some(text.to_ascii_lowercase());
    }
    let normal = normalise(name, text)?;
    Some(sha256_hex(normal.as_bytes()))
}

/// What Meta compares hashes of. `None`: the value is none of this field.
fn normalise(name: &str, text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let normal: String = match name {
        "em" => lower.split_whitespace().collect(),
        "ph" => digits(&lower).trim_start_matches('0').to_owned(),
        // Accents stay.
        "fn" | "ln" => {
            let words = lower.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace());
            words.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
        }
        "ct" | "st" => lower.chars().filter(|c| c.is_alphanumeric()).collect(),
        "zp" => post_code(&lower),
        "country" => lower,
        "db" => digits(&lower),
        "ge" => match lower.as_str() {
            "f" | "female" => "f".to_owned(),
            "m" | "male" => "m".to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    let is_right = match name {
        "em" => normal.contains('@'),
        "ph" => (5..=20).contains(&normal.len()),
        "country" => normal.len() == 2 && normal.bytes().all(|byte| byte.is_ascii_lowercase()),
        "db" => normal.len() == 8,
        _ => !normal.is_empty(),
    };
    is_right.then_some(normal)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Without blanks and dashes; of an American one the first five digits.
fn post_code(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some((first, rest)) = plain.split_once('-')
        && first.len() == 5
        && rest.len() == 4
        && plain.bytes().filter(u8::is_ascii_digit).count() == 9
    {
        return first.to_owned();
    }
    plain.replace('-', "")
}

fn expected(name: &str) -> &'static str {
    match name {
        "em" => "an e-mail address",
        "ph" => "a phone number with its country code",
        "country" => "two letters of ISO 3166",
        "db" => "a date as YYYYMMDD",
        "ge" => "f or m",
        _ => "text that is not empty, or a list of such",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(value: Value) -> Map<String, Value> {
        let mut fields = value.as_object().unwrap().clone();
        hash_personal(&mut fields).unwrap();
        check_hashed(&fields).unwrap();
        fields
    }

    /// Each spelling of one value has the hash of its normal form.
    fn same(name: &str, normal: &str, spellings: &[Value]) {
        let wanted = json!(sha256_hex(normal.as_bytes()));
        for spelling in spellings {
            let fields = hash(json!({name: spelling}));
            assert_eq!(fields[name], wanted, "{name} {spelling}");
        }
    }

    #[test]
    fn spellings_of_one_value_have_one_hash() {
        same("em", "anna@example.com", &[json!(" Anna@Example.COM "), json!("anna@example.com")]);
        same(
            "ph",
            "491701234567",
            &[json!("+49 170 1234567"), json!("0049-170-1234567"), json!(491_701_234_567_u64)],
        );
        same("fn", "renée", &[json!("Renée"), json!(" renée. ")]);
        same("ln", "oneil", &[json!("O'Neil")]);
        same("ct", "newyork", &[json!("New York"), json!("new-york")]);
        same("zp", "94035", &[json!("94035-1234"), json!(94_035)]);
        same("zp", "00950", &[json!("00-950")]);
        same("country", "de", &[json!("DE")]);
        same("db", "19900517", &[json!("1990-05-17")]);
        same("ge", "f", &[json!("Female"), json!("F")]);
    }

    #[test]
    fn what_is_hashed_stays_lists_are_hashed_and_ids_never() {
        let known = sha256_hex(b"anna@example.com");
        let fields = hash(
            json!({"em": [known, "bob@example.com"], "fbp": "fb.1.2.3", "client_ip_address": "192.0.2.1"}),
        );
        assert_eq!(fields["em"][0], json!(known));
        assert_eq!(fields["em"][1], json!(sha256_hex(b"bob@example.com")));
        assert_eq!(
            (&fields["fbp"], &fields["client_ip_address"]),
            (&json!("fb.1.2.3"), &json!("192.0.2.1"))
        );
    }

    #[test]
    fn a_value_in_clear_is_refused_and_not_quoted() {
        for value in [
            json!({"em": "canary@example.com"}),
            json!({"ph": ["canary"]}),
            json!({"canary@example.com": "x"}),
            json!({"fn": {"canary": 1}}),
            json!({"fbp": {"canary": 1}}),
        ] {
            let error = check_hashed(value.as_object().unwrap()).unwrap_err().to_string();
            assert!(error.contains("user_data") && !error.contains("canary"), "{error}");
        }
        let mut wrong = json!({"em": "canary"}).as_object().unwrap().clone();
        let error = hash_personal(&mut wrong).unwrap_err().to_string();
        assert!(error.contains("data.user_data.em") && !error.contains("canary"), "{error}");
    }
}
