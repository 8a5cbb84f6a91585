//! ◆ Pure: what a login changes: secrets that are given out, and tokens that accounts accept from then on.

use std::collections::BTreeMap;

use super::grants::Page;
use crate::ids;
use crate::model::{AccountKey, Channel, Login};
use crate::world::World;

impl World {
    /// A code or token that nobody got before, such as `IGAAL…`.
    pub(crate) fn mint_secret(&mut self, prefix: &str) -> String {
        let number = self.mint();
        let secret =
            format!("{prefix}{}", ids::digits(self.seed, &["secret", prefix, &number], 40));
        self.grants.secrets.push(secret.clone());
        secret
    }

    /// All Pages.
    pub(crate) fn pages(&self) -> Vec<Page> {
        let mut pages = BTreeMap::<String, Page>::new();
        for account in self.accounts.values() {
            let spec = &account.spec;
            let id = match (spec.login, spec.channel) {
                (Login::Instagram, _) => continue,
                (Login::Facebook, Channel::Messenger) => &spec.id,
                (Login::Facebook, Channel::Instagram) => spec.page_id.as_ref().unwrap_or(&spec.id),
            };
            let page = pages.entry(id.clone()).or_insert_with(|| Page {
                id: id.clone(),
                name: spec.name.clone(),
                instagram: None,
            });
            match spec.channel {
                Channel::Messenger => page.name.clone_from(&spec.name),
                Channel::Instagram => {
                    page.instagram = Some((spec.id.clone(), spec.username.clone()))
                }
            }
        }
        pages.into_values().collect()
    }

    /// Makes a token good for a Page and its Instagram account.
    pub(crate) fn admit_page_token(&mut self, page: &str, token: &str) {
        for account in self.accounts.values_mut() {
            let spec = &account.spec;
            let is_page = spec.channel == Channel::Messenger && spec.id == page;
            if spec.login == Login::Facebook && (is_page || spec.page_id.as_deref() == Some(page)) {
                account.tokens.insert(token.to_owned());
            }
        }
    }

    /// Makes a token good for an Instagram account.
    pub(crate) fn admit_instagram_token(&mut self, id: &str, token: &str) {
        let key = AccountKey { channel: Channel::Instagram, id: id.to_owned() };
        if let Some(account) = self.accounts.get_mut(&key) {
            account.tokens.insert(token.to_owned());
        }
    }
}
