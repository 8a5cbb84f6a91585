//! ◆ Pure: the permissions that are asked for when an account is connected, which feature needs each, and what does not work without it
//! (docs/meta-platform-2.md 16.1, 16.2).

use crate::{Channel, Login};

/// A permission of Meta's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its name at Meta.
    pub name: &'static str,
    /// The channel it is for; both where absent.
    pub channel: Option<Channel>,
    /// The feature it is for: `messages`, `comments` or `insights`; absent where only connecting needs it.
    pub feature: Option<&'static str>,
    /// Without it an account cannot be connected at all.
    pub required: bool,
    /// What does not work without it.
    pub cost: &'static str,
}

const fn of(
    name: &'static str,
    channel: Option<Channel>,
    feature: Option<&'static str>,
    required: bool,
    cost: &'static str,
) -> Permission {
    Permission { name, channel, feature, required, cost }
}

const BOTH: Option<Channel> = None;
const INSTAGRAM: Option<Channel> = Some(Channel::Instagram);
const MESSENGER: Option<Channel> = Some(Channel::Messenger);

const CONNECTING: Option<&str> = None;
const MESSAGES: Option<&str> = Some("messages");
const COMMENTS: Option<&str> = Some("comments");
const INSIGHTS: Option<&str> = Some("insights");

const INSTAGRAM_LOGIN: &[Permission] = &[
    of(
        "instagram_business_basic",
        BOTH,
        MESSAGES,
        true,
        "nothing can be read, and the token cannot be refreshed",
    ),
    of(
        "instagram_business_manage_messages",
        BOTH,
        MESSAGES,
        true,
        "no message is received or sent",
    ),
    of(
        "instagram_business_manage_comments",
        BOTH,
        COMMENTS,
        false,
        "comments and mentions are neither received nor answered",
    ),
    of("instagram_business_manage_insights", BOTH, INSIGHTS, false, "insights stay empty"),
];

// What costs most first: the first that is missing is what somebody is to do next.
const FACEBOOK_LOGIN: &[Permission] = &[
    of("pages_show_list", BOTH, CONNECTING, true, "your Pages cannot be listed"),
    of("pages_messaging", MESSENGER, MESSAGES, true, "no Messenger message is received or sent"),
    of("instagram_basic", INSTAGRAM, MESSAGES, true, "the Instagram account cannot be read"),
    of(
        "instagram_manage_messages",
        INSTAGRAM,
        MESSAGES,
        true,
        "no Instagram message is received or sent",
    ),
    of(
        "pages_manage_metadata",
        BOTH,
        MESSAGES,
        true,
        "no webhook can be subscribed, so nothing is received",
    ),
    of(
        "pages_read_engagement",
        MESSENGER,
        COMMENTS,
        false,
        "posts and comments of the Page cannot be read",
    ),
    of(
        "pages_read_user_content",
        MESSENGER,
        COMMENTS,
        false,
        "what people post and comment on the Page cannot be read",
    ),
    of(
        "pages_manage_engagement",
        MESSENGER,
        COMMENTS,
        false,
        "comments on the Page cannot be answered, hidden or deleted",
    ),
    of(
        "instagram_manage_comments",
        INSTAGRAM,
        COMMENTS,
        false,
        "comments on Instagram are neither received nor answered",
    ),
    of("instagram_manage_insights", INSTAGRAM, INSIGHTS, false, "insights of Instagram stay empty"),
    of(
        "business_management",
        BOTH,
        CONNECTING,
        false,
        "Pages that a business portfolio owns may be missing from the list",
    ),
];

/// What is asked for, by login.
pub const fn wanted(login: Login) -> &'static [Permission] {
    match login {
        Login::Instagram => INSTAGRAM_LOGIN,
        Login::Facebook => FACEBOOK_LOGIN,
    }
}

/// The permission of this name.
pub fn named(login: Login, name: &str) -> Option<&'static Permission> {
    wanted(login).iter().find(|permission| permission.name == name)
}

/// Those that were not granted.
pub fn missing<'a>(
    login: Login,
    granted: &'a [String],
) -> impl Iterator<Item = &'static Permission> + 'a {
    wanted(login)
        .iter()
        .filter(|permission| !granted.iter().any(|granted| granted == permission.name))
}

/// Those that were not granted and without which no account of the channel can be connected.
pub fn blocking<'a>(
    login: Login,
    channel: Channel,
    granted: &'a [String],
) -> impl Iterator<Item = &'static Permission> + 'a {
    missing(login, granted).filter(move |permission| {
        permission.required && permission.channel.is_none_or(|only| only == channel)
    })
}

/// Those that were not granted and without which a feature of a connected account does not work.
pub fn lost<'a>(
    login: Login,
    channel: Channel,
    granted: &'a [String],
) -> impl Iterator<Item = (&'static str, &'static Permission)> + 'a {
    missing(login, granted)
        .filter(move |permission| permission.channel.is_none_or(|only| only == channel))
        .filter_map(|permission| Some((permission.feature?, permission)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_blocks_its_own_channel_only() {
        let granted: Vec<String> = ["pages_show_list", "pages_manage_metadata", "pages_messaging"]
            .map(String::from)
            .into();
        assert_eq!(blocking(Login::Facebook, Channel::Messenger, &granted).count(), 0);
        let names: Vec<_> = blocking(Login::Facebook, Channel::Instagram, &granted)
            .map(|permission| permission.name)
            .collect();
        assert_eq!(names, ["instagram_basic", "instagram_manage_messages"]);
        assert!(missing(Login::Facebook, &granted).all(|permission| !permission.cost.is_empty()));
        assert!(named(Login::Instagram, "instagram_business_basic").is_some());
    }
}
