//! ◆ Pure: the accounts we may speak for, and how an id in a webhook finds them.

use std::collections::HashMap;

use schemas::ids::may_be_contact;
use schemas::{AccountId, Channel, ContactId};

pub use schemas::Login;

/// An account without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The channel.
    pub channel: Channel,
    /// The canonical id.
    pub id: AccountId,
    /// How it is connected.
    pub login: Login,
    /// The name of the app secret that may speak for it; any when absent.
    pub app: Option<String>,
    /// The linked Page.
    pub page_id: Option<String>,
    /// Other ids of the same account: named by somebody, or seen to be used by Graph.
    pub aliases: Vec<String>,
    /// Its handle on Instagram, as Graph last reported it.
    pub handle: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The text of the automatic reply; none when absent.
    pub auto_reply: Option<String>,
    /// Calls to Graph are stopped until it is added again.
    pub stopped: bool,
}

impl Account {
    /// Whether `id` is this account: its id, an alias, or its Page. Such an id is never a contact.
    pub fn is_self(&self, id: &str) -> bool {
        self.id.as_str() == id
            || self.page_id.as_deref() == Some(id)
            || self.aliases.iter().any(|alias| alias == id)
    }

    /// Whether a party of a thread or the author of a comment, as Graph names them, is this account: by one of its ids, or on Instagram by
    /// its handle, for ids may be app-scoped there and handles are not (docs/meta-platform.md 5.3).
    pub fn is_party(&self, id: Option<&str>, username: Option<&str>) -> bool {
        let by_handle = || match (&self.handle, username) {
            (Some(own), Some(name)) => {
                self.channel == Channel::Instagram && own.eq_ignore_ascii_case(name)
            }
            _ => false,
        };
        id.is_some_and(|id| self.is_self(id)) || by_handle()
    }

    /// The person whom Meta means by this id: none where it cannot be a person's or is the account's own.
    pub fn contact(&self, id: &str) -> Option<ContactId> {
        (may_be_contact(id) && !self.is_self(id)).then(|| ContactId::from(id))
    }

    /// Whether webhooks verified by the secret of this name may speak for the account. So they may where either has no name.
    pub fn accepts_secret(&self, secret: Option<&str>) -> bool {
        match (self.app.as_deref(), secret) {
            (Some(app), Some(secret)) => app == secret,
            _ => true,
        }
    }
}

/// All accounts, as of one version of `worker.accounts_version`.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    version: i64,
    accounts: Vec<Account>,
    by_id: HashMap<(Channel, String), usize>,
}

impl Directory {
    /// Indexes the accounts. A canonical id beats an alias, and an alias a Page id, where two accounts share a text.
    pub fn new(version: i64, accounts: Vec<Account>) -> Self {
        let mut by_id = HashMap::new();
        for (n, account) in accounts.iter().enumerate() {
            by_id.insert((account.channel, account.id.as_str().to_owned()), n);
        }
        for (n, account) in accounts.iter().enumerate() {
            for alias in &account.aliases {
                by_id.entry((account.channel, alias.clone())).or_insert(n);
            }
        }
        for (n, account) in accounts.iter().enumerate() {
            if let Some(page) = &account.page_id {
                by_id.entry((account.channel, page.clone())).or_insert(n);
            }
        }
        Self { version, accounts, by_id }
    }

    /// The version it was read at.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Finds the account an id of this channel stands for: by id, alias or linked Page (object=instagram may carry the Page
    /// id: docs/meta-platform.md 15, point 11).
    pub fn find(&self, channel: Channel, id: &str) -> Option<&Account> {
        self.by_id.get(&(channel, id.to_owned())).map(|n| &self.accounts[*n])
    }

    /// All accounts.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(channel: Channel, id: &str) -> Account {
        Account {
            channel,
            id: id.into(),
            login: Login::Facebook,
            app: None,
            page_id: None,
            handle: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    #[test]
    fn an_account_is_found_by_id_alias_and_page_but_only_on_its_channel() {
        let mut shop = account(Channel::Instagram, "17841400000000101");
        shop.aliases = vec!["25500000000000101".to_owned()];
        shop.page_id = Some("103000000000301".to_owned());
        let page = account(Channel::Messenger, "103000000000301");
        let directory = Directory::new(1, vec![shop, page]);
        for id in ["17841400000000101", "25500000000000101", "103000000000301"] {
            let found = directory.find(Channel::Instagram, id).map(|account| account.id.as_str());
            assert_eq!(found, Some("17841400000000101"), "{id}");
        }
        let page = directory
            .find(Channel::Messenger, "103000000000301")
            .map(|account| account.id.as_str());
        assert_eq!(page, Some("103000000000301"));
        assert_eq!(directory.find(Channel::Messenger, "25500000000000101"), None);
    }

    #[test]
    fn a_canonical_id_beats_an_alias() {
        let mut first = account(Channel::Instagram, "1");
        first.aliases = vec!["2".to_owned()];
        let directory = Directory::new(1, vec![first, account(Channel::Instagram, "2")]);
        assert_eq!(
            directory.find(Channel::Instagram, "2").map(|account| account.id.as_str()),
            Some("2")
        );
    }

    #[test]
    fn only_the_apps_own_secret_may_speak() {
        let mut shop = account(Channel::Instagram, "1");
        assert!(shop.accepts_secret(Some("main")));
        shop.app = Some("main".to_owned());
        assert!(shop.accepts_secret(Some("main")));
        assert!(shop.accepts_secret(None));
        assert!(!shop.accepts_secret(Some("other")));
    }
}
