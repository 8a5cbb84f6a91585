//! ◆ Pure: what `hookline accounts check` makes of Graph's answers: findings, each with its fix (docs/meta-platform.md 0, 3.3).

use schemas::{Channel, Timestamp};

use facts::accounts::directory::{Account, Login};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works in part, or could not be looked at.
    Warning,
    /// Does not work.
    Problem,
}

impl Level {
    /// `ok`, `warning`, `problem`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// `token`, `identity`, `scopes`, `subscription`.
    pub check: &'static str,
    /// What was found.
    pub text: String,
    /// What to do about it; empty when nothing.
    pub fix: String,
}

impl Finding {
    /// A good one.
    pub fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Good, check, text: text.into(), fix: String::new() }
    }

    /// One that limits.
    pub fn warning(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warning, check, text: text.into(), fix: fix.into() }
    }

    /// One that must be repaired.
    pub fn problem(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Problem, check, text: text.into(), fix: fix.into() }
    }
}

/// Permissions without which messages do not work, and those without which comments do not.
const fn scopes_needed(account: &Account) -> (&'static [&'static str], &'static [&'static str]) {
    match (account.login, account.channel) {
        (Login::Instagram, _) => (
            &["instagram_business_basic", "instagram_business_manage_messages"],
            &["instagram_business_manage_comments"],
        ),
        (Login::Facebook, Channel::Instagram) => (
            &["instagram_basic", "instagram_manage_messages", "pages_manage_metadata"],
            &["instagram_manage_comments"],
        ),
        (Login::Facebook, Channel::Messenger) => (
            &["pages_messaging", "pages_manage_metadata"],
            &["pages_read_engagement", "pages_manage_engagement"],
        ),
    }
}

/// Webhook fields: without the first, messages stay away; without the others, part of what happens does.
pub const fn fields_wanted(account: &Account) -> &'static [&'static str] {
    match (account.channel, account.login) {
        (Channel::Instagram, Login::Instagram) => &[
            "messages",
            "messaging_postbacks",
            "message_reactions",
            "messaging_seen",
            "messaging_referral",
            "comments",
        ],
        // Subscribed on the Page; Instagram's own fields are set for the app (docs/meta-platform.md 3.3).
        (Channel::Instagram, Login::Facebook) => &["messages"],
        (Channel::Messenger, _) => &[
            "messages",
            "messaging_postbacks",
            "message_echoes",
            "message_deliveries",
            "message_reads",
            "message_reactions",
            "messaging_referrals",
            "feed",
        ],
    }
}

/// Judges the ids the token's owner has.
pub(crate) fn identity(account: &Account, ids: &[String], handle: Option<&str>) -> Finding {
    if ids.iter().any(|id| account.is_self(id)) {
        let mut names: Vec<String> =
            ids.iter().filter(|id| account.id.as_str() != id.as_str()).cloned().collect();
        names.extend(handle.map(|handle| format!("@{handle}")));
        let text = match names.as_slice() {
            [] => "the token belongs to this account".to_owned(),
            names => {
                format!(
                    "the token belongs to this account, which Graph also names {}",
                    names.join(", ")
                )
            }
        };
        return Finding::good("identity", text);
    }
    let ids = ids.join(", ");
    Finding::problem(
        "identity",
        format!("the token belongs to another account ({ids})"),
        format!(
            "store the token of `{}`, or, if these are its other ids, add them with `--alias`",
            account.id
        ),
    )
}

/// Ids that Graph uses for the account and that cannot be its aliases.
pub(crate) fn refused_ids(ids: &[String]) -> Option<Finding> {
    (!ids.is_empty()).then(|| {
        Finding::warning(
            "identity",
            format!("Graph also names this account {}, which has events of its own here or belongs to another account", ids.join(", ")),
            "remove the other account, or leave it: webhooks that name this id are not counted to this account",
        )
    })
}

/// Judges the permissions of the token.
pub(crate) fn scopes(account: &Account, granted: &[String]) -> Vec<Finding> {
    let missing = |needed: &[&'static str]| {
        needed
            .iter()
            .filter(|scope| !granted.iter().any(|granted| granted == *scope))
            .copied()
            .collect::<Vec<_>>()
    };
    let (messages, comments) = scopes_needed(account);
    let (messages, comments) = (missing(messages), missing(comments));
    let mut findings = Vec::new();
    if !messages.is_empty() {
        findings.push(Finding::problem(
            "scopes",
            format!("missing for messages: {}", messages.join(", ")),
            "connect the account again and grant these permissions",
        ));
    }
    if !comments.is_empty() {
        findings.push(Finding::warning(
            "scopes",
            format!("missing for comments: {}", comments.join(", ")),
            "connect the account again and grant these permissions, if comments are wanted",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good("scopes", "all permissions are granted"));
    }
    findings
}

/// Judges when the token ends. `expires_at` in seconds since 1970; 0: never.
pub(crate) fn expiry(expires_at: i64, now: Timestamp) -> Option<Finding> {
    let end = Timestamp::from_meta_number(expires_at)?;
    let days = end.since(now).as_secs() / 86_400;
    let fix = "refresh it, or connect the account again, and store the new one with `hookline accounts add`";
    Some(match days {
        _ if end <= now => Finding::problem("token", format!("the token ended at {end}"), fix),
        0..7 => Finding::warning("token", format!("the token ends at {end}"), fix),
        _ => Finding::good("token", format!("the token is good until {end}")),
    })
}

/// Judges the webhook fields the account is subscribed to.
pub(crate) fn subscription(account: &Account, subscribed: &[String]) -> Finding {
    let missing: Vec<_> = fields_wanted(account)
        .iter()
        .filter(|field| !subscribed.iter().any(|have| have == *field))
        .copied()
        .collect();
    let fix = format!(
        "POST /{{account}}/subscribed_apps with subscribed_fields={}, and tick the same fields for the app in Meta's dashboard",
        fields_wanted(account).join(",")
    );
    if missing.contains(&"messages") {
        return Finding::problem(
            "subscription",
            "webhooks do not bring messages (field `messages` is not subscribed)",
            fix,
        );
    }
    if missing.is_empty() {
        return Finding::good("subscription", format!("subscribed to {}", subscribed.join(", ")));
    }
    Finding::warning("subscription", format!("not subscribed to {}", missing.join(", ")), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(login: Login, channel: Channel) -> Account {
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

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_token_of_another_account_is_a_problem() {
        let shop = account(Login::Instagram, Channel::Instagram);
        assert_eq!(identity(&shop, &texts(&["1", "25500000000000101"]), None).level, Level::Good);
        let wrong = identity(&shop, &texts(&["99"]), Some("shop"));
        assert_eq!(wrong.level, Level::Problem);
        assert!(wrong.fix.contains("--alias"));
    }

    #[test]
    fn missing_permissions_are_named_by_what_they_stop() {
        let shop = account(Login::Instagram, Channel::Instagram);
        let some = scopes(
            &shop,
            &texts(&["instagram_business_basic", "instagram_business_manage_messages"]),
        );
        assert_eq!(some.len(), 1);
        assert_eq!(some[0].level, Level::Warning);
        let none = scopes(&shop, &[]);
        assert_eq!(none.iter().map(|finding| finding.level).max(), Some(Level::Problem));
    }

    #[test]
    fn an_account_without_messages_is_a_problem() {
        let page = account(Login::Facebook, Channel::Messenger);
        assert_eq!(subscription(&page, &[]).level, Level::Problem);
        assert_eq!(subscription(&page, &texts(&["messages"])).level, Level::Warning);
        assert_eq!(subscription(&page, &texts(fields_wanted(&page))).level, Level::Good);
    }

    #[test]
    fn a_token_that_ends_is_reported_in_time() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let level =
            |seconds: i64| expiry(1_795_000_000 + seconds, now).map(|finding| finding.level);
        assert_eq!(expiry(0, now), None);
        assert_eq!(level(-1), Some(Level::Problem));
        assert_eq!(level(86_400), Some(Level::Warning));
        assert_eq!(level(30 * 86_400), Some(Level::Good));
    }
}
