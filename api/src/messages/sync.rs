//! Importing one conversation from Graph before its messages are listed. Requests for one conversation that come while it is imported share
//! that import: they would read the same pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use schemas::command::{Action, SyncData};

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::commands::NewCommand;
use crate::contacts::Target;
use crate::problem::Problem;
use crate::status::CommandStatus;

/// How long `sync=true` waits for Graph.
const SYNC_WAIT: Duration = Duration::from_secs(20);

type Import = BoxFuture<'static, Result<(), Problem>>;

/// The imports of this process that have not ended, by conversation.
#[derive(Default)]
pub(crate) struct Syncs(Mutex<HashMap<String, WeakShared<Import>>>);

impl Syncs {
    /// The import of the conversation that is under way, else a new one. It goes on as long as somebody waits for it.
    fn join(&self, conversation: &str, new: impl FnOnce() -> Import) -> Shared<Import> {
        let mut imports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        imports.retain(|_, import| is_open(import));
        if let Some(import) = imports.get(conversation).and_then(WeakShared::upgrade) {
            return import;
        }
        let import = new().shared();
        if let Some(weak) = import.downgrade() {
            imports.insert(conversation.to_owned(), weak);
        }
        import
    }
}

fn is_open(import: &WeakShared<Import>) -> bool {
    import.upgrade().is_some_and(|import| import.peek().is_none())
}

/// Imports the conversation from Graph, or waits for who does already.
///
/// # Errors
/// 403 `insufficient_scope` for a token that may only read: the import is a command. 502 `sync_failed` with Meta's answer; 503.
pub(super) async fn sync(
    app: &Arc<App>,
    caller: &Caller,
    conversation: &str,
    target: Target,
) -> Result<(), Problem> {
    let import = || import(Arc::clone(app), caller.clone(), target).boxed();
    app.syncs.join(conversation, import).await
}

/// Whether the caller may have a conversation imported.
///
/// # Errors
/// 403 `insufficient_scope`.
pub(super) fn check(caller: &Caller) -> Result<(), Problem> {
    if caller.scope < Scope::Write {
        return Err(Problem::insufficient_scope(caller.scope.as_str(), Scope::Write.as_str()));
    }
    Ok(())
}

async fn import(app: Arc<App>, caller: Caller, target: Target) -> Result<(), Problem> {
    let Target { channel, account_id: account, contact_id, .. } = target;
    let new = NewCommand {
        caller: &caller,
        key: None,
        channel,
        account,
        contact: Some(contact_id.clone()),
        action: Action::Sync(SyncData { contact_id: Some(contact_id) }),
    };
    let state = app.command(new, SYNC_WAIT).await?;
    match state.status {
        CommandStatus::Queued | CommandStatus::Done => Ok(()),
        CommandStatus::Failed | CommandStatus::Unknown => {
            Err(Problem::sync_failed(state.error.map_or_else(
                || "the outcome is not known".to_owned(),
                |error| format!("{} ({}): {}", error.class, error.code, error.message),
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_shared_until_it_has_ended() {
        let (syncs, mut begun) = (Syncs::default(), 0);
        let mut join = |conversation: &str, import: Import| {
            syncs.join(conversation, || {
                begun += 1;
                import
            })
        };
        let (first, second) =
            (join("a", std::future::pending().boxed()), join("a", std::future::pending().boxed()));
        let other = join("b", async { Ok(()) }.boxed());
        assert!(first.ptr_eq(&second) && !first.ptr_eq(&other));
        assert!(other.now_or_never().is_some());
        drop((first, second));
        drop(join("a", async { Ok(()) }.boxed()));
        drop(join("b", async { Ok(()) }.boxed()));
        assert_eq!(begun, 4);
    }
}
