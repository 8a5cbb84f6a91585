//! ◆ Pure: people of the simulated Meta, each known to one account.

use super::World;
use crate::error::Invalid;
use crate::ids;
use crate::model::{AccountKey, Channel, Person, ProfileAnswer};

/// A person to simulate.
#[derive(Clone, Debug, Default)]
pub struct PersonSpec {
    /// Full name.
    pub name: String,
    /// Handle; made from the name when absent.
    pub username: Option<String>,
    /// IGSID or PSID; derived from seed, account and name when absent.
    pub id: Option<String>,
    /// What a profile read says.
    pub profile: ProfileAnswer,
}

impl PersonSpec {
    /// A person with this name, everything else made up.
    pub fn named(name: &str) -> PersonSpec {
        PersonSpec { name: name.to_owned(), ..PersonSpec::default() }
    }

    /// Whose profile reads are answered like this.
    pub fn profile(self, profile: ProfileAnswer) -> PersonSpec {
        PersonSpec { profile, ..self }
    }

    /// With this IGSID or PSID.
    pub fn id(self, id: &str) -> PersonSpec {
        PersonSpec { id: Some(id.to_owned()), ..self }
    }
}

impl World {
    /// The person of this account with this name, who comes into being when nobody has it.
    pub(crate) fn person_named(&mut self, account: &AccountKey, name: &str) -> String {
        let known = self
            .people
            .values()
            .find(|person| person.account == *account && person.name == name)
            .map(|person| person.id.clone());
        known.unwrap_or_else(|| self.insert_person(account, PersonSpec::named(name)))
    }

    pub(crate) fn add_person(
        &mut self,
        account: &AccountKey,
        spec: PersonSpec,
    ) -> Result<String, Invalid> {
        if spec.name.trim().is_empty() {
            return Err(Invalid::new("name", "must not be empty"));
        }
        let taken = |person: &&Person| {
            Some(&person.id) == spec.id.as_ref()
                || (person.account == *account && person.name == spec.name)
        };
        if let Some(person) = self.people.values().find(taken) {
            let field = if Some(&person.id) == spec.id.as_ref() { "id" } else { "name" };
            return Err(Invalid::new(field, "belongs to another person already"));
        }
        Ok(self.insert_person(account, spec))
    }

    fn insert_person(&mut self, account: &AccountKey, spec: PersonSpec) -> String {
        let (lead, length) = match account.channel {
            Channel::Instagram => ("52", 14),
            Channel::Messenger => ("73", 14),
        };
        let id = spec.id.unwrap_or_else(|| {
            let rest = ids::digits(self.seed, &["person", &account.id, &spec.name], length);
            format!("{lead}{rest}")
        });
        let username = spec.username.unwrap_or_else(|| {
            let plain = spec.name.to_lowercase();
            plain.split_whitespace().collect::<Vec<_>>().join(".")
        });
        let person = Person {
            id: id.clone(),
            account: account.clone(),
            name: spec.name,
            username,
            profile: spec.profile,
            gone: false,
            blocks: false,
            thread_elsewhere: false,
            window_opened: None,
        };
        self.people.insert(id.clone(), person);
        id
    }
}
