//! ◆ Pure: which feature needs which permission, and what does not work without it, by login (docs/meta-platform-2.md 16).

use facts::accounts::directory::{Account, Login};
use facts::accounts::upkeep::{MissingScope, Scopes};
use schemas::Channel;

const fn needs(scope: &'static str, feature: &'static str, costs: &'static str) -> MissingScope {
    MissingScope { scope, feature, costs }
}

const INSTAGRAM_LOGIN: &[MissingScope] = &[
    needs(
        "instagram_business_basic",
        "messages",
        "the token cannot be refreshed, and the account cannot be read",
    ),
    needs(
        "instagram_business_manage_messages",
        "messages",
        "no message arrives and none can be sent",
    ),
    needs(
        "instagram_business_manage_comments",
        "comments",
        "comments do not arrive and cannot be answered or hidden",
    ),
    needs(
        "instagram_business_manage_insights",
        "insights",
        "figures of the account and its media cannot be read",
    ),
];

const INSTAGRAM_BY_PAGE: &[MissingScope] = &[
    needs("instagram_basic", "messages", "the account cannot be read"),
    needs("instagram_manage_messages", "messages", "no message arrives and none can be sent"),
    needs("pages_manage_metadata", "messages", "webhook fields cannot be asked for"),
    needs(
        "instagram_manage_comments",
        "comments",
        "comments do not arrive and cannot be answered or hidden",
    ),
    needs(
        "instagram_manage_insights",
        "insights",
        "figures of the account and its media cannot be read",
    ),
];

const PAGE: &[MissingScope] = &[
    needs("pages_messaging", "messages", "no message arrives and none can be sent"),
    needs("pages_manage_metadata", "messages", "webhook fields cannot be asked for"),
    needs("pages_read_engagement", "comments", "posts of the Page cannot be read"),
    needs("pages_read_user_content", "comments", "comments of people cannot be read"),
    needs("pages_manage_engagement", "comments", "comments cannot be answered or hidden"),
];

/// What a token with these scopes may do, and what it may not.
pub(crate) fn judge(account: &Account, granted: Vec<String>) -> Scopes {
    let needed = match (account.login, account.channel) {
        (Login::Instagram, _) => INSTAGRAM_LOGIN,
        (Login::Facebook, Channel::Instagram) => INSTAGRAM_BY_PAGE,
        (Login::Facebook, Channel::Messenger) => PAGE,
    };
    let is_missing = |one: &&MissingScope| granted.iter().all(|scope| scope != one.scope);
    let missing = needed.iter().filter(is_missing).cloned().collect();
    Scopes { granted, missing }
}

#[cfg(test)]
mod tests {
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
