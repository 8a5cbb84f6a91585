//! ◆ Pure: why a command cannot be carried out as written.

/// Why a command cannot be carried out as written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// The bytes are no command.
    #[error("not a command: {0}")]
    Malformed(String),
    /// The name is none of [`super::COMMANDS`].
    #[error("`command`: `{0}` is unknown")]
    Unknown(String),
    /// A field is missing, of the wrong type or over its limit.
    #[error("`{field}`: {reason}")]
    Invalid {
        /// The field, with `data.` before it where it is one of the command's own.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl CommandError {
    pub(super) fn invalid(field: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), reason: reason.into() }
    }
}

pub(super) fn not_empty(field: &str, text: &str) -> Result<(), CommandError> {
    if text.is_empty() { Err(CommandError::invalid(field, "must not be empty")) } else { Ok(()) }
}

/// What serde says without the content it quotes: it writes values only inside `invalid type/value: … "…"`, which is cut.
pub(super) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.find("invalid type"), text.find("invalid value")) {
        (None, None) => text,
        _ => {
            let expected = text.split("expected ").nth(1).unwrap_or("another type");
            format!("wrong type or value, expected {expected}")
        }
    }
}
