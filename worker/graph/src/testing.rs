//! Accounts for the tests of this crate.

use facts::accounts::directory::{Account, Login};
use schemas::Channel;

/// An account with an alias and nothing else.
pub(crate) fn account(login: Login, channel: Channel) -> Account {
    Account {
        channel,
        id: "17841400000000101".into(),
        login,
        app: None,
        page_id: None,
        handle: None,
        aliases: vec!["25500000000000101".to_owned()],
        name: None,
        auto_reply: None,
        stopped: false,
    }
}
