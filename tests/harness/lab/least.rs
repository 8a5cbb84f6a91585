//! Each process of a lab has the Postgres role and the NATS user of its service, as `hookline db apply` and `deploy/nats-users.conf` make
//! them, and so no right that a deployment does not give it.
//!
//! Not where a test starts servers of its own or an empty database: there, roles make their schemas and streams as one user that may do
//! everything, as in a first trial. Nor, of NATS, before a worker: somebody has to make the streams. `hookline up` is one process with one user
//! of each: the operator's role, and a NATS user with all rights.
//! With `HOOKLINE_APART=1` labs start the roles apart instead of by `up`, so that all of them have their own.

use url::Url;

use super::Lab;
use crate::servers::{Broker, Database};

/// The variable that starts the roles of every lab apart.
const APART: &str = "HOOKLINE_APART";

pub(super) fn all_apart() -> bool {
    std::env::var_os(APART).is_some_and(|value| !value.is_empty() && value != "0")
}

impl Lab {
    /// What `verb` (a role's name, or an operator's verb) has instead of the settings of the lab. A test's own URLs stay.
    pub(super) fn least(&self, verb: &str) -> Vec<(&'static str, String)> {
        let (Broker::Shared(share), Database::Shared(_), true) =
            (&self.nats, &self.postgres, self.is_migrated)
        else {
            return Vec::new();
        };
        let (role, user) = match verb {
            // Only the worker's user may make streams.
            "ingest" | "worker" | "projector" | "api" => (verb, self.has_worker.then_some(verb)),
            "up" => ("operator", None),
            "ops" => ("operator", self.has_worker.then_some("ops")),
            // It makes the roles, or compares them.
            "db" => return Vec::new(),
            "replay" => ("operator", Some("replay")),
            _ => ("operator", Some("operator")),
        };
        let migrated = Url::parse(&self.postgres.url("hookline")).unwrap();
        let is_migrated =
            |url: &Url| url.username() == migrated.username() && url.path() == migrated.path();
        let database = self.parsed("DATABASE_URL").filter(is_migrated);
        let mighty = share.nats_credentials().0;
        let nats = self.parsed("NATS_URL").filter(|url| url.username() == mighty);
        let database = database.map(|url| named(url, &format!("hookline_{role}")));
        let nats = nats.zip(user).map(|(url, user)| named(url, &share.nats_user(user)));
        [("DATABASE_URL", database), ("NATS_URL", nats)]
            .into_iter()
            .filter_map(|(name, url)| Some((name, url?)))
            .collect()
    }

    /// From now on processes may do everything, as before `db apply`: the database was lost, and roles make their schemas.
    pub fn as_one_user(&mut self) {
        self.is_migrated = false;
    }

    fn parsed(&self, name: &str) -> Option<Url> {
        Url::parse(self.settings.get(name)?).ok()
    }
}

fn named(mut url: Url, user: &str) -> String {
    url.set_username(user).unwrap();
    url.into()
}
