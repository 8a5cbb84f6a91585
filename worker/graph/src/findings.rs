//! ◆ Pure: what `hookline accounts check` makes of Graph's answers: findings, each with its fix (docs/meta-platform.md 0, 3.3).

use schemas::Timestamp;

use super::fields::{Field, Target};
use super::scopes;
use facts::accounts::directory::Account;
use facts::accounts::upkeep::{FieldRow, MissingScope};

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
    let missing = scopes::judge(account, granted.to_vec()).missing;
    if missing.is_empty() {
        return vec![Finding::good("scopes", "all permissions are granted")];
    }
    let finding = |one: MissingScope| {
        let text = format!("`{}` is missing for {}: {}", one.scope, one.feature, one.costs);
        let fix = "connect the account again and grant it";
        match one.feature {
            "messages" => Finding::problem("scopes", text, fix),
            _ => Finding::warning("scopes", text, format!("{fix}, if {} are wanted", one.feature)),
        }
    };
    missing.into_iter().map(finding).collect()
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

/// Judges the webhook fields of one object.
pub(crate) fn subscription(target: &Target, subscribed: &[String], known: &[FieldRow]) -> Finding {
    let missing: Vec<&Field> = target
        .fields
        .iter()
        .filter(|field| !subscribed.iter().any(|have| have == field.name))
        .collect();
    let object = target.object;
    if missing.is_empty() {
        let text = format!("{object}: subscribed to {}", subscribed.join(", "));
        return Finding::good("subscription", text);
    }
    let costs = |field: &&Field| {
        let refused = known.iter().find(|row| row.object == object && row.field == field.name);
        let code =
            refused.and_then(|row| row.code).map(|code| format!(", refused with code {code}"));
        format!("{} ({}{})", field.name, field.costs, code.unwrap_or_default())
    };
    let texts: Vec<String> = missing.iter().map(costs).collect();
    let text = format!("{object}: not subscribed to {}", texts.join("; "));
    let fix = "`hookline accounts subscribe` asks for them; what Meta refuses needs its permission, and the field ticked for the app in Meta's dashboard";
    match target.required && missing.iter().any(|field| field.name == "messages") {
        true => Finding::problem("subscription", text, fix),
        false => Finding::warning("subscription", text, fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::targets;
    use crate::testing::account;
    use facts::accounts::directory::Login;
    use schemas::Channel;

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
        assert!(some.iter().all(|finding| finding.level == Level::Warning), "{some:?}");
        let none = scopes(&shop, &[]);
        assert_eq!(none.iter().map(|finding| finding.level).max(), Some(Level::Problem));
    }

    #[test]
    fn an_account_without_messages_is_a_problem() {
        let page = &targets(&account(Login::Facebook, Channel::Messenger))[0];
        let all: Vec<&str> = page.fields.iter().map(|field| field.name).collect();
        assert_eq!(subscription(page, &[], &[]).level, Level::Problem);
        assert_eq!(subscription(page, &texts(&["messages"]), &[]).level, Level::Warning);
        assert_eq!(subscription(page, &texts(&all), &[]).level, Level::Good);
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
