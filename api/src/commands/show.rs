//! `GET /v1/commands/{id}`: where any command stands.

use axum::Json;
use schemas::{AccountId, Channel};
use serde_json::json;

use super::{CommandState, error_of};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Id, Query};
use crate::problem::{Problem, only};
use crate::replies::{self, Reply, ReplyQuery};
use crate::requests;
use crate::status::{CommandStatus, ReplyStatus};
use crate::worker_views::{self, CommandOutcomeRow};

/// A command with its account.
struct Found {
    channel: Channel,
    account: AccountId,
    state: CommandState,
}

/// Read where a command stands
///
/// Any command, also a reply, in the words of commands: `queued`, `done`, `failed` or `unknown`.
///
/// # Errors
/// 404 when there is none; 409 when several accounts have one with this id.
#[utoipa::path(get, path = "/v1/commands/{id}", tag = "commands",
    params(("id" = String, Path, description = "`command_id` or `reply_id`"), ReplyQuery),
    responses((status = 200, body = CommandState), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ReplyQuery>,
) -> Result<Json<CommandState>, Problem> {
    let mut found = all(&app, &id).await?;
    let named = (query.channel, query.account_id.as_deref());
    found.retain(|one| caller.means(named, one.channel, &one.account));
    let found = only("commands", found, |one| format!("{}/{}", one.channel, one.account))?;
    found.map(|one| Json(one.state)).ok_or_else(|| Problem::unknown("command", &id))
}

async fn all(app: &App, id: &str) -> Result<Vec<Found>, Problem> {
    let replies = replies::load(&app.pool, id).await?;
    if !replies.is_empty() {
        return Ok(replies.into_iter().map(of_reply).collect());
    }
    let commands = worker_views::commands(&app.pool, id).await?;
    if !commands.is_empty() {
        return Ok(commands.into_iter().map(|row| of_row(id, row)).collect());
    }
    let asked = requests::asked_command(&app.pool, id).await?;
    let of_asked = |asked: requests::AskedCommand| Found {
        channel: asked.channel,
        account: asked.account_id,
        state: CommandState {
            command_id: id.to_owned(),
            command: None,
            status: CommandStatus::Queued,
            result: None,
            error: None,
        },
    };
    Ok(asked.map(of_asked).into_iter().collect())
}

fn of_row(id: &str, row: CommandOutcomeRow) -> Found {
    let CommandOutcomeRow { channel, account_id, command, status, result, error } = row;
    let state = CommandState {
        command_id: id.to_owned(),
        command: Some(command),
        status,
        result,
        error: error_of(error),
    };
    Found { channel, account: account_id, state }
}

fn of_reply(reply: Reply) -> Found {
    let status = match reply.status {
        ReplyStatus::Queued | ReplyStatus::Sending => CommandStatus::Queued,
        ReplyStatus::Sent => CommandStatus::Done,
        ReplyStatus::Failed | ReplyStatus::Partial => CommandStatus::Failed,
        ReplyStatus::Unknown => CommandStatus::Unknown,
    };
    let state = CommandState {
        command_id: reply.reply_id,
        command: Some("reply".to_owned()),
        status,
        result: reply.message_id.map(|id| json!({ "id": id })),
        error: error_of(reply.error),
    };
    Found { channel: reply.channel, account: reply.account_id, state }
}
