//! ◆ Pure: how long tokens are good (docs/meta-platform-2.md 16.1).

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Account, Login};

/// The life of a long-lived Instagram token, as Meta counts: 60 days less a little.
pub(crate) const LIFE_SECONDS: i64 = 5_183_944;
/// A younger token is not refreshed.
pub(crate) const REFRESH_AGE: TimeDelta = TimeDelta::hours(24);
/// How old a token is that somebody pastes.
pub(crate) const PASTED_AGE: TimeDelta = TimeDelta::hours(48);

/// What Graph says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenState {
    Unknown,
    Good,
    /// 190/463
    Expired,
    /// 190/458
    AppRemoved,
}

impl Account {
    /// What Graph says of `token` for this account.
    pub(crate) fn token_state(&self, token: &str, now: DateTime<Utc>) -> TokenState {
        if self.removed.contains(token) {
            return TokenState::AppRemoved;
        }
        let known = self.tokens.contains(token);
        let is_old = self.ends(token).is_some_and(|end| end <= now);
        match (known, is_old) {
            (true, false) => TokenState::Good,
            (true, true) => TokenState::Expired,
            (false, _) if self.expired.contains(token) => TokenState::Expired,
            (false, _) => TokenState::Unknown,
        }
    }

    /// When a token ends; tokens of Pages do not.
    pub(crate) fn ends(&self, token: &str) -> Option<DateTime<Utc>> {
        let issued = self.issued.get(token)?;
        (self.spec.login == Login::Instagram).then(|| *issued + TimeDelta::seconds(LIFE_SECONDS))
    }

    /// The person who connected a Page, by an id of this app.
    pub(crate) fn person(&self) -> String {
        format!("990{}", self.spec.page_id.as_ref().unwrap_or(&self.spec.id))
    }
}
