//! Under which ids and which handle Graph knows an account.
//!
//! `/me` of Instagram Login returns an app-scoped `id` beside `user_id`; threads and comments name the account by that id or by its handle.

use facts::accounts::{AccountStore, Connected};
use serde_json::Value;

use super::client::Graph;
use super::limits::Lane;
use super::reads::text_of;
use schemas::Channel;

/// The account as Graph returns it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its ids.
    pub ids: Vec<String>,
    /// Its handle, on Instagram.
    pub handle: Option<String>,
}

impl Identity {
    /// Reads the answer of `/me`.
    pub fn read(me: &Value, channel: Channel) -> Self {
        let ids = ["user_id", "id"].iter().filter_map(|key| text_of(me.get(*key))).collect();
        let handle = match channel {
            Channel::Instagram => text_of(me.get("username")),
            Channel::Messenger => None,
        };
        Self { ids, handle }
    }
}

/// Asks Graph who the account is, and takes the answer in. Where Graph does not answer, what is known stays.
pub async fn learn(graph: &Graph, accounts: &AccountStore, connected: &mut Connected, lane: Lane) {
    match graph.me(connected, lane).await {
        Ok(me) => take_in(accounts, connected, &me).await,
        Err(error) => tracing::debug!(
            account.id = %connected.account.id, %error, "Could not ask Graph for the ids of an account"
        ),
    }
}

/// Stores the ids and the handle that an answer of `/me` has and that are new. The answer counts only if it names the account by an id that is
/// known: another account's token would make that one's ids ours. Where nothing can be stored, what is known stays.
pub(crate) async fn take_in(accounts: &AccountStore, connected: &mut Connected, me: &Value) {
    let Identity { ids, handle } = Identity::read(me, connected.account.channel);
    if !ids.iter().any(|id| connected.account.is_self(id)) {
        return;
    }
    match accounts.learn(&connected.account, &ids, handle.as_deref()).await {
        Ok(learnt) => connected.account = learnt.account,
        Err(error) => tracing::warn!(
            account.id = %connected.account.id, %error, "Could not store the ids that Graph uses for an account"
        ),
    }
}
