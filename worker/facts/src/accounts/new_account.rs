//! ◆ Pure: an account to add, and which of its values cannot be right.

use schemas::{AccountId, Channel};

use super::directory::Login;
use super::token::Token;

/// An account to add, or to connect anew.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The channel.
    pub channel: Channel,
    /// The canonical id.
    pub id: AccountId,
    /// How it is connected.
    pub login: Login,
    /// Its token.
    pub token: Token,
    /// A name for people.
    pub name: Option<String>,
    /// The name of the app secret that may speak for it.
    pub app: Option<String>,
    /// The linked Page.
    pub page_id: Option<String>,
    /// Other ids of the same account.
    pub aliases: Vec<String>,
    /// The text of the automatic reply.
    pub auto_reply: Option<String>,
}

/// An option of `hookline accounts add` that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct InvalidOption {
    /// The option or variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Refuses values that cannot be right.
pub(super) fn validate(new: &NewAccount) -> Result<(), InvalidOption> {
    let invalid = |name, reason| Err(InvalidOption { name, reason });
    let is_id = |text: &str| {
        !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_id(new.id.as_str()) {
        return invalid("--id", "use the account's or Page's id as Meta writes it");
    }
    if new.aliases.iter().any(|alias| !is_id(alias)) {
        return invalid("--alias", "use an id as Meta writes it");
    }
    if new.aliases.iter().any(|alias| alias == new.id.as_str()) {
        return invalid("--alias", "an account is no alias of itself");
    }
    if new.page_id.as_deref().is_some_and(|page| !is_id(page)) {
        return invalid("--page-id", "use the Page's id as Meta writes it");
    }
    if new.login == Login::Instagram && new.channel == Channel::Messenger {
        return invalid("--login", "a Page is connected by Facebook Login: use `--login facebook`");
    }
    if new.token.expose().is_empty()
        || !new.token.expose().bytes().all(|byte| byte.is_ascii_graphic())
    {
        return invalid(
            "--token-env",
            "the variable is empty or holds something that is no access token",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> NewAccount {
        NewAccount {
            channel: Channel::Instagram,
            id: "17841400000000101".into(),
            login: Login::Instagram,
            token: Token::new("IGAA-token"),
            name: None,
            app: None,
            page_id: None,
            aliases: vec!["25500000000000101".to_owned()],
            auto_reply: None,
        }
    }

    #[test]
    fn what_cannot_be_right_is_named() {
        assert!(validate(&new()).is_ok());
        let refused = |change: fn(&mut NewAccount)| {
            let mut account = new();
            change(&mut account);
            validate(&account).unwrap_err().to_string()
        };
        assert!(refused(|account| account.id = "".into()).starts_with("--id"));
        assert!(refused(|account| account.aliases = vec!["a b".to_owned()]).starts_with("--alias"));
        assert!(
            refused(|account| account.aliases = vec![account.id.to_string()])
                .starts_with("--alias")
        );
        assert!(refused(|account| account.token = Token::new(" \n")).starts_with("--token-env"));
        assert!(
            refused(|account| account.token = Token::new("two words")).starts_with("--token-env")
        );
        assert!(refused(|account| account.channel = Channel::Messenger).starts_with("--login"));
        assert!(refused(|account| account.page_id = Some(String::new())).starts_with("--page-id"));
    }

    #[test]
    fn an_error_never_shows_the_token() {
        assert!(!format!("{:?}", new()).contains("IGAA"));
    }
}
