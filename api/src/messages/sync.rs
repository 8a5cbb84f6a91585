//! Importing one conversation from Graph before its messages are listed. Requests that meet share one import.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use schemas::command::{Action, SyncData};

use crate::app::App;
use crate::auth::Caller;
use crate::commands::NewCommand;
use crate::contacts::Target;
use crate::problem::Problem;
use crate::status::CommandStatus;

/// How long `sync=true` waits for Graph.
const SYNC_WAIT: Duration = Duration::from_secs(20);

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
