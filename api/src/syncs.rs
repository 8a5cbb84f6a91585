//! Reading from Graph before something is listed: an import is a command, and requests for the same that come while it is carried out share
//! that import: they would read the same pages. Those of one process share it here, all processes by [`crate::imports`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use schemas::command::Action;
use schemas::{AccountId, Channel, Command, ContactId};

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::commands::{CommandState, NewCommand};
use crate::imports;
use crate::layers;
use crate::problem::Problem;
use crate::status::CommandStatus;

/// How long a request waits for Graph.
const SYNC_WAIT: Duration = Duration::from_secs(20);

/// What is to be read.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) channel: Channel,
    pub(crate) account: AccountId,
    /// The person whose conversation it is, where it is one.
    pub(crate) contact: Option<ContactId>,
    pub(crate) action: Action,
}

/// One import.
pub(crate) type Import = BoxFuture<'static, Result<(), Problem>>;

/// The imports of this process that have not ended, by what they read.
#[derive(Default)]
pub(crate) struct Syncs(Mutex<HashMap<String, WeakShared<Import>>>);

impl Syncs {
    /// The import of this that is under way, else a new one. It goes on as long as somebody waits for it.
    pub(crate) fn join(&self, what: &str, new: impl FnOnce() -> Import) -> Shared<Import> {
        let mut imports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        imports.retain(|_, import| is_open(import));
        if let Some(import) = imports.get(what).and_then(WeakShared::upgrade) {
            return import;
        }
        let import = new().shared();
        if let Some(weak) = import.downgrade() {
            imports.insert(what.to_owned(), weak);
        }
        import
    }
}

fn is_open(import: &WeakShared<Import>) -> bool {
    import.upgrade().is_some_and(|import| import.peek().is_none())
}

/// Reads from Graph, or waits for who does already: in this process, or in another one. `what` names what is read.
///
/// # Errors
/// 403 `insufficient_scope` for a token that may only read: an import is a command. 502 `sync_failed` with Meta's answer; 503.
pub(crate) async fn sync(
    app: &Arc<App>,
    caller: &Caller,
    what: &str,
    wanted: Wanted,
) -> Result<(), Problem> {
    layers::allow(caller, Scope::Write)?;
    let (key, caller) = (what.to_owned(), caller.clone());
    let import = || {
        let app = Arc::clone(app);
        async move { import(&app, &caller, &key, wanted).await }.boxed()
    };
    app.syncs.join(what, import).await
}

async fn import(app: &App, caller: &Caller, what: &str, wanted: Wanted) -> Result<(), Problem> {
    let Wanted { channel, account, contact, action } = wanted;
    let new = NewCommand { caller, key: None, channel, account, contact, action };
    let state = carried_out(app, what, new.into_command()).await?;
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

/// What becomes of this command, or of the one by which another process reads the same.
async fn carried_out(app: &App, what: &str, command: Command) -> Result<CommandState, Problem> {
    let mut ended = None;
    loop {
        let id = imports::join(&app.pool, what, &command.id, ended.as_ref()).await?;
        if id == command.id {
            let state = app.carry_out(&command, None, SYNC_WAIT).await;
            // One that takes longer goes on, and who comes next waits for it.
            let goes_on = matches!(&state, Ok(state) if state.status == CommandStatus::Queued);
            if !goes_on && let Err(error) = imports::end(&app.pool, what, &command.id).await {
                tracing::debug!(%error, "The end of an import could not be noted; the next one finds its outcome");
            }
            return state;
        }
        let other = Command { id, ..command.clone() };
        match app.outcome(&other, SYNC_WAIT).await? {
            Some(state) => return Ok(state),
            None => ended = Some(other.id),
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
