//! One account in the hands of a test: its people, token, usage, calls.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};

use crate::act::Act;
use crate::call_kind::CallKind;
use crate::calls::Call;
use crate::echo;
use crate::error::SimulatorError;
use crate::model::{AccountKey, AccountSpec, Comment, Login, Side, Usage};
use crate::people::Person;
use crate::shared::Shared;
use crate::world::tokens::{PASTED_AGE, TokenState};
use crate::world::{PersonSpec, World};

/// One account of a running simulator.
#[derive(Clone)]
pub struct AccountHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: AccountKey,
    pub(crate) login: Login,
}

impl AccountHandle {
    /// Its `entry.id`.
    pub fn id(&self) -> &str {
        &self.key.id
    }

    /// The token it was added with or given last.
    pub fn token(&self) -> String {
        self.spec().map(|spec| spec.token).unwrap_or_default()
    }

    /// How it was added.
    pub fn spec(&self) -> Option<AccountSpec> {
        self.shared.world().spec(&self.key).cloned()
    }

    /// Ends the subscription: until somebody subscribes it again, no webhook is sent of it.
    pub fn unsubscribe(&self) {
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            account.subscribed.clear();
        }
    }

    /// The person with this name, who comes into being at the first call.
    pub fn person(&self, name: &str) -> Person {
        let id = self.shared.world().person_named(&self.key, name);
        Person::new(self.shared.clone(), self.key.clone(), self.login, id)
    }

    /// A person with more than a name.
    ///
    /// # Errors
    /// When name or id belong to somebody else.
    pub fn add_person(&self, spec: PersonSpec) -> Result<Person, SimulatorError> {
        let id = self.shared.world().add_person(&self.key, spec)?;
        Ok(Person::new(self.shared.clone(), self.key.clone(), self.login, id))
    }

    /// All people of this account.
    pub fn people(&self) -> Vec<Person> {
        let world = self.shared.world();
        let mine = world.people.values().filter(|person| person.account == self.key);
        let ids: Vec<String> = mine.map(|person| person.id.clone()).collect();
        drop(world);
        let person = |id| Person::new(self.shared.clone(), self.key.clone(), self.login, id);
        ids.into_iter().map(person).collect()
    }

    /// The media or post with this caption, made at the first call; for [`Person::comments`].
    pub fn media(&self, caption: &str) -> String {
        self.shared.world().add_media(&self.key, caption, Utc::now())
    }

    /// A new story that so many people have seen; for its figures.
    pub fn story(&self, viewers: u32) -> String {
        self.shared.world().add_story(&self.key, viewers)
    }

    /// All comments on media of this account, those it wrote itself (`person` absent) included.
    pub fn comments(&self) -> Vec<Comment> {
        let world = self.shared.world();
        let mut comments: Vec<Comment> =
            world.comments.values().filter(|c| c.account == self.key).cloned().collect();
        comments.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        comments
    }

    /// A colleague types a message in Meta's own inbox: an echo that is not ours.
    pub fn types_by_hand(&self, person: &Person, text: &str) -> Act {
        let message = {
            let mut world = self.shared.world();
            let at = world.next_time(person.id(), self.shared.now(), false);
            let Some(known) = world.people.get(person.id()).cloned() else {
                return self.nothing();
            };
            let mid = world.mint_mid(&known, at);
            let mut message = world.blank(&mid, &known, Side::Account, at);
            message.text = Some(text.to_owned());
            world.insert_message(message.clone());
            message
        };
        let item = echo::echo_item(&message, self.login, echo::PAGE_INBOX_APP);
        let (mid, groups) = (Some(message.mid), vec![vec![item]]);
        let act = Act { shared: self.shared.clone(), mid, comment: None, groups };
        act.release();
        act
    }

    fn nothing(&self) -> Act {
        Act { shared: self.shared.clone(), mid: None, comment: None, groups: Vec::new() }
    }

    /// All its tokens end: 190/463 from now on.
    pub fn expire_token(&self) {
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            let ended = std::mem::take(&mut account.tokens);
            account.expired.extend(ended);
        }
    }

    /// A new token is good from now on; the old ones end.
    pub fn set_token(&self, token: &str) {
        self.expire_token();
        let now = self.shared.now();
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            account.expired.remove(token);
            account.removed.remove(token);
            account.tokens.insert(token.to_owned());
            account.issued.insert(token.to_owned(), now - PASTED_AGE);
            account.spec.token = token.to_owned();
        }
    }

    /// The person removes the app: tokens answer 190/458, and the webhook fields are gone.
    pub fn remove_app(&self) {
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            let ended = std::mem::take(&mut account.tokens);
            account.removed.extend(ended);
            account.subscribed.clear();
            account.page_subscribed.clear();
        }
    }

    /// The id by which callbacks name who connected the account: its own one of this app by Instagram Login, the person's by Facebook Login.
    pub fn connected_by(&self) -> String {
        let world = self.shared.world();
        let account = world.accounts.get(&self.key);
        match account {
            Some(account) if account.spec.login == Login::Facebook => account.person(),
            _ => self.spec_alias(&world),
        }
    }

    fn spec_alias(&self, world: &World) -> String {
        let spec = world.spec(&self.key);
        spec.and_then(|spec| spec.alias.clone()).unwrap_or_else(|| self.key.id.clone())
    }

    /// Meta does not grant these fields from now on: a set with one of them is refused with `code`. The others are granted again.
    pub fn refuse_fields(&self, fields: &[&str], code: i64) {
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            account.refused_fields =
                fields.iter().map(|field| ((*field).to_owned(), code)).collect();
        }
    }

    /// Sets the subscribed webhook fields, of the account and of the Page behind it.
    pub fn set_subscribed_fields(&self, fields: &[&str], page: &[&str]) {
        let names = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            account.subscribed = names(fields);
            account.page_subscribed = names(page);
        }
    }

    /// Subscribed webhook fields of the Page behind an Instagram account.
    pub fn subscribed_page_fields(&self) -> Vec<String> {
        let world = self.shared.world();
        let account = world.accounts.get(&self.key);
        account.map(|account| account.page_subscribed.iter().cloned().collect()).unwrap_or_default()
    }

    /// Tokens that are good now.
    pub fn good_tokens(&self) -> Vec<String> {
        let now = self.shared.now();
        let world = self.shared.world();
        let Some(account) = world.accounts.get(&self.key) else { return Vec::new() };
        let good = |token: &&String| account.token_state(token, now) == TokenState::Good;
        account.tokens.iter().filter(good).cloned().collect()
    }

    /// Answers carry usage headers, for a while or (none) until [`AccountHandle::clear_usage`].
    pub fn set_usage(&self, usage: Usage, lasting: Option<Duration>) {
        let until = lasting
            .map(|lasting| Utc::now() + TimeDelta::from_std(lasting).unwrap_or(TimeDelta::days(1)));
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            account.usage = Some((usage, until));
        }
    }

    /// Ends [`AccountHandle::set_usage`].
    pub fn clear_usage(&self) {
        if let Some(account) = self.shared.world().accounts.get_mut(&self.key) {
            account.usage = None;
        }
    }

    /// Subscribed webhook fields; empty: nothing is delivered.
    pub fn subscribed_fields(&self) -> Vec<String> {
        let world = self.shared.world();
        let account = world.accounts.get(&self.key);
        account.map(|account| account.subscribed.iter().cloned().collect()).unwrap_or_default()
    }

    /// Calls of this account so far.
    pub fn calls(&self, kind: Option<CallKind>) -> Vec<Call> {
        self.shared.world().calls.matching(kind, Some(&self.key.id)).cloned().collect()
    }

    /// How many calls of this kind this account made.
    pub fn count(&self, kind: CallKind) -> u64 {
        self.shared.world().calls.count(Some(kind), Some(&self.key.id))
    }
}

impl std::fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountHandle").field("id", &self.key.id).finish()
    }
}
