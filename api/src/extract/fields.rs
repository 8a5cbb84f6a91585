//! ◆ Pure: what holds for every field.

use schemas::Timestamp;

use crate::problem::Problem;

/// Postgres cannot store it.
pub(crate) const NO_NUL: &str = "must not hold a NUL character";

/// A text that must say something and fit.
///
/// # Errors
/// 422 naming the field.
pub(crate) fn check_text(field: &str, text: &str, chars_max: usize) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid(field, "must not be empty"));
    }
    if text.chars().count() > chars_max {
        return Err(Problem::invalid(field, format!("at most {chars_max} characters")));
    }
    if text.contains('\0') {
        return Err(Problem::invalid(field, NO_NUL));
    }
    Ok(())
}

/// A name that people give: without spaces around it, on one line.
///
/// # Errors
/// 422 naming the field.
pub(crate) fn name_of(field: &str, text: &str, chars_max: usize) -> Result<String, Problem> {
    let name = text.trim();
    check_text(field, name, chars_max)?;
    if name.chars().any(char::is_control) {
        return Err(Problem::invalid(
            field,
            "must not hold control characters, such as a line break",
        ));
    }
    Ok(name.to_owned())
}

/// A time of RFC 3339, with its offset.
///
/// # Errors
/// 422 naming `field`.
pub(crate) fn time_of(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid(field, "not a time of RFC 3339, such as `2026-11-23T08:00:00Z`")
    })
}

/// Longest label of a conversation, characters.
pub(crate) const LABEL_MAX: usize = 64;

/// The field an error is about: its path, or the name between backticks where serde speaks of a missing or unknown one.
pub(super) fn field_of(path: &str, message: &str) -> Option<String> {
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.split_once(start))
        .and_then(|(_, rest)| rest.split('`').next());
    match (path, named) {
        ("." | "?" | "", named) => named.map(str::to_owned),
        (path, Some(name)) if !path.ends_with(name) => Some(format!("{path}.{name}")),
        (path, _) => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_an_offset() {
        let time = |text| time_of("until", text).map(|time| time.to_string());
        let later = "2026-11-18T11:06:41.000Z";
        assert_eq!(time("2026-11-18T12:06:41+01:00").unwrap(), later);
        assert_eq!(time("2026-11-18T11:06:41Z").unwrap(), later);
        for wrong in ["", "tomorrow", "2026-11-18", "1795000000", "2026-11-18T11:06:41"] {
            assert_eq!(time(wrong).unwrap_err().code, "invalid", "{wrong}");
        }
    }

    #[test]
    fn a_name_has_no_spaces_around_it_and_says_something() {
        let name = |text: &str| name_of("name", text, 64).ok();
        assert_eq!(name("  VIP customer "), Some("VIP customer".to_owned()));
        assert_eq!(name(&"ü".repeat(64)), Some("ü".repeat(64)));
        for wrong in ["", "  ", "a\nb", "a\u{7f}", "a\0b", &"x".repeat(65)] {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
    }
}
