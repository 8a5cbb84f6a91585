//! Commands other than replies: publishing one, and waiting for its outcome.

use std::sync::Arc;
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

use crate::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::publish::{Known, Message, Request, digest};

/// Where a command stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommandState {
    /// Its id; the outcome event carries it.
    pub command_id: String,
    /// Its name.
    #[schema(example = "comment_reply")]
    pub command: String,
    /// `queued`, `done`, `failed` or `unknown`.
    #[schema(example = "queued")]
    pub status: &'static str,
    /// What Meta answered, by its ids.
    pub result: Option<Value>,
    /// Why it had no effect.
    #[schema(value_type = Option<Object>)]
    pub error: Option<OutcomeError>,
}

impl IntoResponse for CommandState {
    fn into_response(self) -> Response {
        let status = if self.status == "queued" { StatusCode::ACCEPTED } else { StatusCode::OK };
        (status, Json(self)).into_response()
    }
}

/// What a route wants done.
pub struct Wish<'a> {
    /// Who wants it.
    pub caller: &'a Caller,
    /// The `Idempotency-Key`, where the caller sent one.
    pub key: Option<String>,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account: AccountId,
    /// The person it is for.
    pub contact: Option<ContactId>,
    /// What is to be done.
    pub action: Action,
}

/// Status, result and error of a command.
type Told = (String, Option<Value>, Option<Value>);

impl App {
    /// Publishes a command and waits, at most `wait`, for its outcome.
    ///
    /// # Errors
    /// 422 when the command is not valid, 409 when the key was used otherwise, 503 when NATS or Postgres is away.
    pub async fn command(
        self: &Arc<Self>,
        wish: Wish<'_>,
        wait: Duration,
    ) -> Result<CommandState, Problem> {
        let Wish { caller, key, channel, account, contact, action } = wish;
        let name = action.name();
        let data = serde_json::to_string(&action).map_err(|_| Problem::internal())?;
        let asked = digest(&[
            name,
            channel.as_str(),
            account.as_str(),
            contact.as_ref().map_or("", ContactId::as_str),
            &data,
        ]);
        // Without a key nobody can repeat the request, so any id that is never used again will do.
        let once = || format!("\0{}", uuid::Uuid::now_v7());
        let id = CommandId::of_request(
            channel,
            &account,
            &caller.name,
            &key.clone().unwrap_or_else(once),
        );
        let mut command = Command {
            id,
            channel,
            account_id: account,
            contact_id: contact,
            action,
            requested_by: caller.requested_by(),
            requested_at: runtime::now(),
        };
        command.check()?;
        // Before publishing: the outcome may be there before the ack.
        let outcome = (!wait.is_zero()).then(|| self.live.outcome_of(&command.id));
        let mut known = Known::New;
        if key.is_some() {
            let request = Request {
                id: command.id.as_str(),
                kind: "command",
                caller,
                channel,
                account: &command.account_id,
                conversation: None,
                digest: asked,
            };
            known = self.store(&request, &command).await?;
        }
        if let Known::Unpublished(stored) = &mut known {
            // The first try's command, as it was: a repeat must not differ.
            command = serde_json::from_value(stored.take()).map_err(|_| Problem::internal())?;
        }
        if known != Known::Published {
            self.publish(Message::Command(&command)).await?;
            if key.is_some() {
                self.published(command.id.as_str()).await?;
            }
        }
        let mut state = CommandState {
            command_id: command.id.to_string(),
            command: name.to_owned(),
            status: "queued",
            result: None,
            error: None,
        };
        // A repeat answers with the state of the first, whose outcome may have come long ago.
        if known == Known::Published && self.ledger_knows(&command, &mut state).await? {
            return Ok(state);
        }
        let Some(outcome) = outcome else { return Ok(state) };
        let told = self.stopping.run_until_cancelled(tokio::time::timeout(wait, outcome)).await;
        match told {
            Some(Ok(Some(outcome))) => {
                state.status = outcome.status;
                state.result = outcome.fact.result;
                state.error = outcome.fact.error;
            }
            // Too much came at once to see it pass: it may be there.
            Some(Ok(None)) => {
                self.ledger_knows(&command, &mut state).await?;
            }
            _ => {}
        }
        Ok(state)
    }

    /// The outcome of a command by the worker's ledger. `false`: it has none yet.
    async fn ledger_knows(
        &self,
        command: &Command,
        state: &mut CommandState,
    ) -> Result<bool, Problem> {
        let row: sqlx::Result<Option<Told>> = sqlx::query_as(
                "select status, result, error from worker.command_outcomes \
                 where command_id = $1 and channel = $2 and account_id = $3 and finished_at is not null",
            )
            .bind(command.id.as_str())
            .bind(command.channel.as_str())
            .bind(command.account_id.as_str())
            .fetch_optional(&self.pool)
            .await;
        let (status, result, error) = match row {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(false),
            // The worker has not made the view yet.
            Err(error) if runtime::db::is_absent(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        state.status = match status.as_str() {
            "done" => "done",
            "failed" => "failed",
            _ => "unknown",
        };
        state.result = result;
        state.error = error.and_then(|error| serde_json::from_value(error).ok());
        Ok(true)
    }
}
