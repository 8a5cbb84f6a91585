//! Importing one conversation from Graph before its messages are listed. Requests that meet share one import.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use schemas::Command;
use schemas::command::{Action, SyncData};

use crate::app::App;
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand};
use crate::contacts::Target;
use crate::imports;
use crate::problem::Problem;
use crate::status::CommandStatus;

/// How long `sync=true` waits for Graph.
const SYNC_WAIT: Duration = Duration::from_secs(20);

/// Imports the conversation from Graph, or waits for who does already: in this process, or in another one.
///
/// # Errors
/// 403 `insufficient_scope` for a token that may only read: the import is a command. 502 `sync_failed` with Meta's answer; 503.
pub(super) async fn sync(
    app: &Arc<App>,
    caller: &Caller,
    conversation: &str,
    target: Target,
) -> Result<(), Problem> {
    let (id, caller) = (conversation.to_owned(), caller.clone());
    let import = || {
        let app = Arc::clone(app);
        async move { import(&app, &caller, &id, target).await }.boxed()
    };
    app.syncs.join(conversation, import).await
}

async fn import(
    app: &App,
    caller: &Caller,
    conversation: &str,
    target: Target,
) -> Result<(), Problem> {
    let Target { channel, account_id: account, contact_id, .. } = target;
    let new = NewCommand {
        caller,
        key: None,
        channel,
        account,
        contact: Some(contact_id.clone()),
        action: Action::Sync(SyncData { contact_id: Some(contact_id) }),
    };
    let state = carried_out(app, conversation, new.into_command()).await?;
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

/// What becomes of this command, or of the one by which another process imports the conversation.
async fn carried_out(
    app: &App,
    conversation: &str,
    command: Command,
) -> Result<CommandState, Problem> {
    let mut ended = None;
    loop {
        let id = imports::join(&app.pool, conversation, &command.id, ended.as_ref()).await?;
        if id == command.id {
            let state = app.carry_out(&command, None, SYNC_WAIT).await;
            // One that takes longer goes on, and who comes next waits for it.
            let goes_on = matches!(&state, Ok(state) if state.status == CommandStatus::Queued);
            if !goes_on && let Err(error) = imports::end(&app.pool, conversation, &command.id).await
            {
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
