//! ◆ Pure: the GET handshake by which Meta makes sure that the address is ours (docs/meta-platform.md 1).

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

const CHALLENGE_MAX_BYTES: usize = 256;

/// `META_VERIFY_TOKENS`. Kept as digests, so that comparing takes the same time whatever is asked.
#[derive(Clone)]
pub(crate) struct VerifyTokens(Vec<[u8; 32]>);

impl fmt::Debug for VerifyTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyTokens({})", self.0.len())
    }
}

impl VerifyTokens {
    /// Reads `token,…`.
    ///
    /// # Errors
    /// A text that names the place of the token that cannot be used, without the token.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        for (index, token) in text.split(',').map(str::trim).enumerate() {
            if token.is_empty() {
                return Err(format!("token {} is empty; use token,…", index + 1));
            }
            tokens.push(Sha256::digest(token.as_bytes()).into());
        }
        Ok(Self(tokens))
    }

    fn contains(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // All are tried, whichever fits.
        let known = self.0.iter().fold(Choice::from(0), |known, ours| known | ours.ct_eq(&digest));
        known.into()
    }
}

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A part is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A part is there more than once.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// Not `subscribe`.
    #[error("`hub.mode` must be `subscribe`")]
    Mode,
    /// None of ours.
    #[error("`hub.verify_token` is not one of META_VERIFY_TOKENS")]
    Token,
    /// We give back what we are given, so only harmless letters.
    #[error("`hub.challenge` must be 1 to 256 of A-Z a-z 0-9 _ -")]
    Challenge,
}

/// The challenge to give back, for the query of a GET.
///
/// # Errors
/// [`Refusal`] names the part that is wrong.
pub(crate) fn answer(query: &str, tokens: &VerifyTokens) -> Result<String, Refusal> {
    let mode = part(query, "hub.mode")?;
    let token = part(query, "hub.verify_token")?;
    let challenge = part(query, "hub.challenge")?;
    if mode != "subscribe" {
        return Err(Refusal::Mode);
    }
    if !tokens.contains(&token) {
        return Err(Refusal::Token);
    }
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if challenge.is_empty()
        || CHALLENGE_MAX_BYTES < challenge.len()
        || !challenge.bytes().all(harmless)
    {
        return Err(Refusal::Challenge);
    }
    Ok(challenge)
}

fn part(query: &str, name: &'static str) -> Result<String, Refusal> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let (_, value) = values.next().ok_or(Refusal::Missing(name))?;
    if values.next().is_some() {
        return Err(Refusal::Twice(name));
    }
    Ok(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_token_gets_its_challenge_back() {
        let tokens = VerifyTokens::parse("first-token, se+cond/t&ken").unwrap();
        let long = "7".repeat(256);
        let query = |challenge: &str| {
            format!("hub.mode=subscribe&hub.verify_token=first-token&hub.challenge={challenge}")
        };
        for (query, expected) in [
            (query("1158201444"), Ok("1158201444")),
            (query("007_a-Z"), Ok("007_a-Z")),
            (query(&long), Ok(long.as_str())),
            (query(&format!("{long}7")), Err(Refusal::Challenge)),
            (query(""), Err(Refusal::Challenge)),
            (query("%3Cscript%3E"), Err(Refusal::Challenge)),
            (query("1+2"), Err(Refusal::Challenge)),
            (query("1%0A"), Err(Refusal::Challenge)),
            (query("%C3%A4"), Err(Refusal::Challenge)),
            (query("1&hub.challenge=2"), Err(Refusal::Twice("hub.challenge"))),
            (
                "hub.challenge=1&hub.verify_token=se%2Bcond%2Ft%26ken&hub.mode=subscribe".into(),
                Ok("1"),
            ),
            (
                "hub.mode=subscribe&hub.verify_token=first-toke&hub.challenge=1".into(),
                Err(Refusal::Token),
            ),
            (
                "hub.mode=subscribe&hub.verify_token=FIRST-TOKEN&hub.challenge=1".into(),
                Err(Refusal::Token),
            ),
            ("hub.mode=subscribe&hub.verify_token=&hub.challenge=1".into(), Err(Refusal::Token)),
            (
                "hub.mode=unsubscribe&hub.verify_token=first-token&hub.challenge=1".into(),
                Err(Refusal::Mode),
            ),
            (
                "hub.mode=Subscribe&hub.verify_token=first-token&hub.challenge=1".into(),
                Err(Refusal::Mode),
            ),
            (
                "hub_mode=subscribe&hub_verify_token=first-token&hub_challenge=1".into(),
                Err(Refusal::Missing("hub.mode")),
            ),
            (
                "hub.mode=subscribe&hub.challenge=1".into(),
                Err(Refusal::Missing("hub.verify_token")),
            ),
            (
                "hub.mode=subscribe&hub.verify_token=first-token".into(),
                Err(Refusal::Missing("hub.challenge")),
            ),
            (String::new(), Err(Refusal::Missing("hub.mode"))),
        ] {
            assert_eq!(answer(&query, &tokens).as_deref(), expected.as_ref().copied(), "{query}");
        }
    }

    #[test]
    fn tokens_are_read_and_never_shown() {
        assert_eq!(VerifyTokens::parse("a,,b").unwrap_err(), "token 2 is empty; use token,…");
        assert_eq!(format!("{:?}", VerifyTokens::parse("a,b").unwrap()), "VerifyTokens(2)");
    }
}
