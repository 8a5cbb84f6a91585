//! ◆ Pure: the host and the node that an account's calls go to (docs/meta-platform.md 8.1).

use schemas::Channel;

use facts::accounts::directory::{Account, Login};

/// One of Graph's two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// `GRAPH_FACEBOOK_URL`
    Facebook,
    /// `GRAPH_INSTAGRAM_URL`
    Instagram,
}

impl Host {
    /// As a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
        }
    }

    /// The host an account's token is good for.
    pub const fn of(account: &Account) -> Self {
        match account.login {
            Login::Instagram => Self::Instagram,
            Login::Facebook => Self::Facebook,
        }
    }
}

/// The account as the first part of a path: `me` on the Instagram host, the Page (or the account itself) on the Facebook host
/// (docs/meta-platform.md 8.1).
pub fn node(account: &Account) -> &str {
    match account.login {
        Login::Instagram => "me",
        Login::Facebook => account.page_id.as_deref().unwrap_or(account.id.as_str()),
    }
}

/// What Graph calls the channel (`platform=`).
pub(crate) const fn platform(channel: Channel) -> &'static str {
    channel.as_str()
}
