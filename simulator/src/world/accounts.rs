//! ◆ Pure: accounts of the simulated Meta and the webhook fields they are subscribed to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::World;
use super::tokens::PASTED_AGE;
use crate::error::Invalid;
use crate::model::{Account, AccountKey, AccountSpec, Channel, Login};

/// Fields an account is subscribed to unless somebody changes it (docs/meta-platform.md 3.3).
pub const INSTAGRAM_FIELDS: [&str; 13] = [
    "messages",
    "message_edit",
    "message_reactions",
    "messaging_postbacks",
    "messaging_seen",
    "messaging_referral",
    "messaging_optins",
    "messaging_handover",
    "standby",
    "comments",
    "live_comments",
    "mentions",
    "story_insights",
];
/// The same for Pages.
pub(crate) const PAGE_FIELDS: [&str; 19] = [
    "messages",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_reactions",
    "message_edits",
    "messaging_postbacks",
    "messaging_referrals",
    "messaging_optins",
    "messaging_account_linking",
    "messaging_handovers",
    "messaging_policy_enforcement",
    "messaging_feedback",
    "response_feedback",
    "send_cart",
    "standby",
    "feed",
    "mention",
    "message_template_status_update",
];

fn names(fields: &[&str]) -> BTreeSet<String> {
    fields.iter().map(|field| (*field).to_owned()).collect()
}

impl World {
    pub(crate) fn add_account(
        &mut self,
        spec: AccountSpec,
        now: DateTime<Utc>,
    ) -> Result<AccountKey, Invalid> {
        let required = [
            ("id", &spec.id),
            ("name", &spec.name),
            ("username", &spec.username),
            ("token", &spec.token),
        ];
        for (field, value) in required {
            if value.trim().is_empty() {
                return Err(Invalid::new(field, "must not be empty"));
            }
        }
        if spec.channel == Channel::Messenger && spec.login == Login::Instagram {
            return Err(Invalid::new("login", "a Messenger page is connected by `facebook`"));
        }
        let key = AccountKey { channel: spec.channel, id: spec.id.clone() };
        if self.accounts.contains_key(&key) {
            return Err(Invalid::new("id", format!("account `{}` is there already", spec.id)));
        }
        let fields: &[&str] = match spec.channel {
            Channel::Instagram => &INSTAGRAM_FIELDS,
            Channel::Messenger => &PAGE_FIELDS,
        };
        let account = Account {
            tokens: BTreeSet::from([spec.token.clone()]),
            expired: BTreeSet::new(),
            issued: BTreeMap::from([(spec.token.clone(), now - PASTED_AGE)]),
            removed: BTreeSet::new(),
            page_subscribed: names(&PAGE_FIELDS),
            refused_fields: BTreeMap::new(),
            subscribed: names(fields),
            usage: None,
            spec,
        };
        self.accounts.insert(key.clone(), account);
        Ok(key)
    }

    /// The account with this `entry.id`, page id or alias.
    pub(crate) fn account_by_id(&self, id: &str) -> Option<&AccountKey> {
        let exact = self.accounts.keys().find(|key| key.id == id);
        exact.or_else(|| {
            let mut accounts = self.accounts.iter();
            let also = accounts.find(|(_, account)| {
                let spec = &account.spec;
                spec.alias.as_deref() == Some(id) || spec.page_id.as_deref() == Some(id)
            });
            also.map(|(key, _)| key)
        })
    }

    pub(crate) fn spec(&self, key: &AccountKey) -> Option<&AccountSpec> {
        self.accounts.get(key).map(|account| &account.spec)
    }
}
