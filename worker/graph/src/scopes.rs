//! ◆ Pure: what a token may do for its account, and what it may not ([`schemas::scopes`]).

use facts::accounts::directory::Account;
use facts::accounts::upkeep::{MissingScope, Scopes};
use schemas::scopes;

/// What a token with these scopes may do, and what it may not.
pub(crate) fn judge(account: &Account, granted: Vec<String>) -> Scopes {
    let missing = scopes::lost(account.login, account.channel, &granted)
        .map(|(feature, lost)| MissingScope { scope: lost.name, feature, costs: lost.cost })
        .collect();
    Scopes { granted, missing }
}

#[cfg(test)]
mod tests {
    use facts::accounts::directory::Login;
    use schemas::Channel;

    use super::*;
    use crate::testing::account;

    #[test]
    fn every_login_has_what_messages_and_comments_need() {
        for (login, channel) in [
            (Login::Instagram, Channel::Instagram),
            (Login::Facebook, Channel::Instagram),
            (Login::Facebook, Channel::Messenger),
        ] {
            let none = judge(&account(login, channel), Vec::new()).missing;
            for feature in ["messages", "comments"] {
                assert!(none.iter().any(|one| one.feature == feature), "{login:?} {feature}");
            }
            let all = none.iter().map(|one| one.scope.to_owned()).collect();
            assert_eq!(judge(&account(login, channel), all).missing, []);
        }
    }
}
