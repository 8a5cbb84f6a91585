//! ◆ Pure: how an account is connected to Meta.

use std::fmt;
use std::str::FromStr;

/// How an account is connected (docs/meta-platform.md 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Login {
    /// Instagram API with Instagram Login: host `graph.instagram.com`.
    Instagram,
    /// Facebook Login: host `graph.facebook.com`.
    Facebook,
}

impl Login {
    /// `instagram` or `facebook`, as `worker.accounts.login` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instagram => "instagram",
            Self::Facebook => "facebook",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Instagram => "Instagram",
            Self::Facebook => "Facebook",
        }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no [`Login`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no login: use `instagram` or `facebook`")]
pub struct UnknownLogin(String);

impl FromStr for Login {
    type Err = UnknownLogin;

    fn from_str(text: &str) -> Result<Self, UnknownLogin> {
        match text {
            "instagram" => Ok(Self::Instagram),
            "facebook" => Ok(Self::Facebook),
            other => Err(UnknownLogin(other.chars().take(64).collect())),
        }
    }
}
