//! ◆ Pure: what may be written into the definition of an endpoint. Errors name the field.

use runtime::guard::{self, OutboundAllow};
use schemas::{Kind, subjects};
use url::Url;

const URL_MAX: usize = 2_048;
const DESCRIPTION_MAX: usize = 500;
const ACCOUNTS_MAX: usize = 500;
const ID_MAX: usize = 128;

/// A field cannot be taken as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {reason}")]
pub struct Wrong {
    /// The field.
    pub field: &'static str,
    /// What to write instead.
    pub reason: String,
}

fn wrong(field: &'static str, reason: impl Into<String>) -> Wrong {
    Wrong { field, reason: reason.into() }
}

/// The URL of a receiver.
///
/// # Errors
/// [`Wrong`] for `url`.
pub fn check_url(text: &str, allow: &OutboundAllow) -> Result<Url, Wrong> {
    if text.len() > URL_MAX {
        return Err(wrong("url", format!("use at most {URL_MAX} characters")));
    }
    let url = Url::parse(text)
        .map_err(|_| wrong("url", "use a URL such as https://receiver.example/hookline"))?;
    guard::check_url(&url, allow).map_err(|reason| wrong("url", reason))?;
    Ok(url)
}

/// Kinds of events; none stands for all.
///
/// # Errors
/// [`Wrong`] for `kinds`.
pub fn check_kinds(kinds: &[String]) -> Result<(), Wrong> {
    match kinds.iter().find(|kind| kind.parse::<Kind>().is_err()) {
        None => Ok(()),
        Some(kind) => Err(wrong(
            "kinds",
            format!("`{}` is no kind of an event: use kinds such as message.received", cut(kind)),
        )),
    }
}

/// Ids of accounts; none stands for all.
///
/// # Errors
/// [`Wrong`] for `accounts`.
pub fn check_accounts(accounts: &[String]) -> Result<(), Wrong> {
    let usable = |id: &String| {
        !id.is_empty() && id.len() <= ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if accounts.len() > ACCOUNTS_MAX {
        return Err(wrong("accounts", format!("use at most {ACCOUNTS_MAX}, or none for all")));
    }
    if !accounts.iter().all(usable) {
        return Err(wrong("accounts", "use ids of accounts as `GET /v1/accounts` lists them"));
    }
    Ok(())
}

/// Words for people.
///
/// # Errors
/// [`Wrong`] for `description`.
pub fn check_description(text: &str) -> Result<(), Wrong> {
    if text.chars().count() > DESCRIPTION_MAX || text.contains('\0') {
        return Err(wrong("description", format!("use at most {DESCRIPTION_MAX} characters")));
    }
    Ok(())
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Which events an endpoint gets, by their subjects: what is not wanted is not even read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    kinds: Vec<String>,
    accounts: Vec<String>,
}

impl Wanted {
    /// Of these kinds and accounts; none of them stands for all.
    pub fn of(kinds: &[String], accounts: &[String]) -> Self {
        Self {
            kinds: kinds.iter().map(|kind| kind.replace('.', "-")).collect(),
            accounts: accounts.iter().map(|id| subjects::token(id).into_owned()).collect(),
        }
    }

    /// Whether the event with this subject is wanted.
    pub fn has(&self, subject: &str) -> bool {
        // inbox.v1.event.<partition>.<channel>.<account>.<kind>
        let mut tokens = subject.split('.').skip(5);
        let (account, kind) =
            (tokens.next().unwrap_or_default(), tokens.next().unwrap_or_default());
        let among = |all: &[String], one: &str| all.is_empty() || all.iter().any(|is| is == one);
        among(&self.kinds, kind) && among(&self.accounts, account)
    }
}

#[cfg(test)]
mod tests {
    use schemas::Channel;
    use schemas::subjects::Route;

    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn errors_name_the_field() {
        let field = |checked: Result<(), Wrong>| checked.unwrap_err().field;
        let allow = OutboundAllow::default();
        assert_eq!(field(check_url("here", &allow).map(|_| ())), "url");
        assert_eq!(field(check_url("https://10.0.0.1/", &allow).map(|_| ())), "url");
        assert!(check_url("https://a.example/x", &allow).is_ok());
        assert_eq!(field(check_kinds(&texts(&["message.received", "message.sung"]))), "kinds");
        assert!(check_kinds(&texts(&["message.received", "comment.created"])).is_ok());
        assert_eq!(field(check_accounts(&texts(&[""]))), "accounts");
        assert_eq!(field(check_accounts(&texts(&["a b"]))), "accounts");
        assert_eq!(field(check_description(&"x".repeat(501))), "description");
    }

    #[test]
    fn kinds_and_accounts_are_chosen_by_subject() {
        let subject = |account: &str, kind| {
            subjects::event(Channel::Instagram, &account.into(), Route::Contact("5"), kind)
        };
        let received = subject("17841400000000101", Kind::MessageReceived);
        let check = |kinds: &[&str], accounts: &[&str], subject: &str| {
            Wanted::of(&texts(kinds), &texts(accounts)).has(subject)
        };
        assert!(check(&[], &[], &received));
        assert!(check(&["message.received"], &[], &received));
        assert!(!check(&["message.sent"], &[], &received));
        assert!(check(&["message.sent", "message.received"], &["17841400000000101"], &received));
        assert!(!check(&["message.received"], &["1784140000000010"], &received));
        let odd = subject("a.b c", Kind::MessageReceived);
        assert!(check(&[], &["a.b c"], &odd) && !check(&[], &["a.b"], &odd));
        assert!(check(&[], &[], "odd") && !check(&["message.sent"], &[], "odd"));
    }
}
