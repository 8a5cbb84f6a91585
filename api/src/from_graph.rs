//! Reading from Graph before something is listed: an import is a command, and requests for the same that come while it is carried out share
//! that import.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
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
