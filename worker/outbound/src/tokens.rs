//! Accounts with their tokens, kept until one of them changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use facts::accounts::{AccountStore, Connected};
use schemas::{AccountId, Channel};
use sqlx::PgConnection;

use crate::ledger::CommandRow;

type Key = (Channel, AccountId);

/// Kept tokens; clones share them.
#[derive(Clone)]
pub(crate) struct Tokens {
    store: AccountStore,
    kept: Arc<Mutex<Kept>>,
}

/// What was read at one version of all accounts.
#[derive(Default)]
struct Kept {
    version: i64,
    connected: HashMap<Key, Connected>,
}

impl Tokens {
    pub(crate) fn new(store: AccountStore) -> Self {
        Self { store, kept: Arc::default() }
    }

    /// The accounts of these commands, as they are stored at `version` of all accounts or later.
    ///
    /// # Errors
    /// The database failed, or a token cannot be opened.
    pub(crate) async fn of(
        &self,
        conn: &mut PgConnection,
        version: i64,
        commands: impl Iterator<Item = &CommandRow>,
    ) -> anyhow::Result<HashMap<Key, Connected>> {
        let mut wanted: Vec<Key> =
            commands.map(|command| (command.channel, command.account_id.clone())).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        // The version was read before the accounts are: what changes in between is read again at the next version.
        let mut found = self.kept(version, &wanted);
        for key in wanted {
            if !found.contains_key(&key)
                && let Some(connected) = self.store.get_with(&mut *conn, key.0, &key.1).await?
            {
                self.lock().connected.insert(key.clone(), connected.clone());
                found.insert(key, connected);
            }
        }
        Ok(found)
    }

    fn kept(&self, version: i64, wanted: &[Key]) -> HashMap<Key, Connected> {
        let mut kept = self.lock();
        if kept.version != version {
            *kept = Kept { version, connected: HashMap::new() };
        }
        let known = |key: &Key| Some((key.clone(), kept.connected.get(key)?.clone()));
        wanted.iter().filter_map(known).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
