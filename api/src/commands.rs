//! Commands other than replies: publishing one, and waiting for its outcome.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::command::Action;
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, Command, CommandId, ContactId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Caller;
use crate::live::Outcome;
use crate::problem::Problem;
use crate::publish::key_or_unique;
use crate::requests::{Request, digest};
use crate::status::CommandStatus;
use crate::worker_views;

pub(crate) mod show;

/// Where a command stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandState {
    /// Its id; the outcome event carries it.
    pub command_id: String,
    /// Its name; left out where the worker has not taken it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "comment_reply")]
    pub command: Option<String>,
    /// `queued`, `done`, `failed` or `unknown`.
    #[schema(value_type = String, example = "queued")]
    pub status: CommandStatus,
    /// What Meta answered, by its ids; of an import that is under way, how far it has come.
    pub result: Option<Value>,
    /// Why it had no effect.
    #[schema(value_type = Option<Object>)]
    pub error: Option<OutcomeError>,
}

/// The error of an outcome, as the ledger keeps it.
pub(crate) fn error_of(error: Option<Value>) -> Option<OutcomeError> {
    error.and_then(|error| serde_json::from_value(error).ok())
}

impl CommandState {
    /// Nothing is known of it but that it was asked for.
    fn queued(command: &Command) -> Self {
        Self {
            command_id: command.id.to_string(),
            command: Some(command.action.name().to_owned()),
            status: CommandStatus::Queued,
            result: None,
            error: None,
        }
    }
}

impl IntoResponse for CommandState {
    fn into_response(self) -> Response {
        let status = match self.status {
            CommandStatus::Queued => StatusCode::ACCEPTED,
            CommandStatus::Done | CommandStatus::Failed | CommandStatus::Unknown => StatusCode::OK,
        };
        (status, Json(self)).into_response()
    }
}

/// A command that a route asks for.
pub(crate) struct NewCommand<'a> {
    pub caller: &'a Caller,
    /// The `Idempotency-Key`, where the caller sent one.
    pub key: Option<String>,
    pub channel: Channel,
    pub account: AccountId,
    /// The person it is for, where there is one.
    pub contact: Option<ContactId>,
    pub action: Action,
}

impl NewCommand<'_> {
    fn digest(&self) -> Result<[u8; 32], Problem> {
        let data = serde_json::to_string(&self.action).map_err(|_| Problem::internal())?;
        Ok(digest(&[
            self.action.name(),
            self.channel.as_str(),
            self.account.as_str(),
            self.contact.as_ref().map_or("", ContactId::as_str),
            &data,
        ]))
    }

    pub(crate) fn into_command(self) -> Command {
        let key = key_or_unique(self.key.as_deref());
        Command {
            id: CommandId::of_request(self.channel, &self.account, &self.caller.name, &key),
            channel: self.channel,
            account_id: self.account,
            contact_id: self.contact,
            action: self.action,
            requested_by: self.caller.requested_by(),
            requested_at: runtime::now(),
        }
    }
}

impl App {
    /// Publishes a command and waits, at most `wait`, for its outcome.
    ///
    /// # Errors
    /// 422 when the command is not valid, 409 when the key was used otherwise, 503 when NATS or Postgres is away.
    pub(crate) async fn command(
        &self,
        new: NewCommand<'_>,
        wait: Duration,
    ) -> Result<CommandState, Problem> {
        let (caller, has_key, asked) = (new.caller, new.key.is_some(), new.digest()?);
        let command = new.into_command();
        let request = has_key.then(|| Request {
            id: command.id.as_str(),
            kind: "command",
            token: &caller.name,
            channel: command.channel,
            account: &command.account_id,
            conversation: None,
            digest: asked,
        });
        self.carry_out(&command, request.as_ref(), wait).await
    }

    /// The same for a command that has its id already.
    ///
    /// # Errors
    /// As [`App::command`].
    pub(crate) async fn carry_out(
        &self,
        command: &Command,
        request: Option<&Request<'_>>,
        wait: Duration,
    ) -> Result<CommandState, Problem> {
        command.check()?;
        // Before publishing: the outcome may be there before the ack.
        let outcome = (!wait.is_zero()).then(|| self.live.outcome_of(&command.id));
        let published = self.publish_once(request, command).await?;
        let mut state = CommandState::queued(command);
        // A repeat answers with the state of the first, whose outcome may have come long ago.
        if published.is_none() && self.ledger_knows(command, &mut state).await? {
            return Ok(state);
        }
        if let Some(outcome) = outcome {
            self.wait_for(command, outcome, &mut state, wait).await?;
        }
        Ok(state)
    }

    /// Waits, at most `wait`, for the outcome of a command that somebody else has published. `None`: it had ended before.
    ///
    /// # Errors
    /// 503 when Postgres is away.
    pub(crate) async fn outcome(
        &self,
        command: &Command,
        wait: Duration,
    ) -> Result<Option<CommandState>, Problem> {
        // Before the ledger is asked: it may end in between.
        let outcome = self.live.outcome_of(&command.id);
        let mut state = CommandState::queued(command);
        if self.ledger_knows(command, &mut state).await? {
            return Ok(None);
        }
        self.wait_for(command, outcome, &mut state, wait).await?;
        Ok(Some(state))
    }

    async fn wait_for(
        &self,
        command: &Command,
        outcome: impl Future<Output = Option<Outcome>>,
        state: &mut CommandState,
        wait: Duration,
    ) -> Result<(), Problem> {
        match self.stopping.run_until_cancelled(tokio::time::timeout(wait, outcome)).await {
            Some(Ok(Some(outcome))) => {
                state.status = outcome.status;
                state.result = outcome.fact.result;
                state.error = outcome.fact.error;
            }
            // Too much came at once to see it pass: it may be there.
            Some(Ok(None)) => {
                self.ledger_knows(command, state).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Fills in the outcome of a command by the worker's ledger. `false`: it has none yet.
    async fn ledger_knows(
        &self,
        command: &Command,
        state: &mut CommandState,
    ) -> Result<bool, Problem> {
        if let Some(row) = worker_views::command_outcome(&self.pool, command).await? {
            state.status = row.status;
            state.result = row.result;
            state.error = error_of(row.error);
            return Ok(true);
        }
        let (id, account) = (command.id.as_str(), &command.account_id);
        let refused = worker_views::refused(&self.pool, id, command.channel, account).await?;
        let Some(refused) = refused else { return Ok(false) };
        state.status = CommandStatus::Failed;
        state.error = error_of(refused.error);
        Ok(true)
    }
}
