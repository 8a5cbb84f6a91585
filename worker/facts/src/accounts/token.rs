//! ◆ Pure: an access token, which never shows itself.

use std::fmt;

/// An access token. `Debug` hides it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token as Meta gave it; blanks around it (a line break from a file) are dropped.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The token itself: for the `Authorization` header and for sealing, nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_shows_itself() {
        let token = Token::new(" IGAA-secret\n");
        assert_eq!(token.expose(), "IGAA-secret");
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
