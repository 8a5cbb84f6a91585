//! `account_subscribe`, `account_refresh`, `account_disconnect`: commands about the account itself. Each is safe to repeat, so a claim that
//! lapses is simply carried out again.

use facts::accounts::{Connected, Only};
use graph::{Class, GraphError, UpkeepError};
use schemas::command::Action;
use serde_json::{Value, json};

use crate::ledger::commands::{self, End};
use crate::ledger::{self, CommandRow};
use crate::reading;
use crate::services::{Next, Services};
use crate::state::{CommandState, Hold};

/// Carries one out. The command is claimed.
///
/// # Errors
/// Database or the store of tokens failed; it is carried out again when the claim lapses.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    action: &Action,
) -> anyhow::Result<Next> {
    let connected = services.accounts.get(command.channel, &command.account_id).await?;
    let Some(connected) = connected else { return Ok(Next::Idle) };
    let end = match carry_out(services, command, &connected, action).await {
        Ok(result) => {
            End { state: CommandState::Sent, rule: None, error: None, result: Some(result) }
        }
        Err(UpkeepError::Graph(error)) => match again(services, command, &error).await? {
            true => return Ok(Next::Idle),
            false => {
                let error = Some(reading::given_up(&error));
                End { state: CommandState::Failed, rule: None, error, result: None }
            }
        },
        Err(error) => return Err(error.into()),
    };
    let mut tx = services.pool.begin().await?;
    if commands::lock(&mut tx, &command.identity).await?.is_none() {
        return Ok(Next::Idle);
    }
    commands::finish(&mut tx, &command.identity, end).await?;
    tx.commit().await?;
    Ok(Next::Ended)
}

async fn carry_out(
    services: &Services,
    command: &CommandRow,
    connected: &Connected,
    action: &Action,
) -> Result<Value, UpkeepError> {
    let (graph, accounts) = (&services.graph, &services.accounts);
    Ok(match action {
        Action::AccountSubscribe(_) => {
            let fields = graph::look(graph, accounts, connected).await?;
            let of = |state: &str| -> Vec<&str> {
                let these = fields.iter().filter(|field| field.state == state);
                these.map(|field| field.field.as_str()).collect()
            };
            json!({"subscribed": of("subscribed"), "refused": of("refused"), "missing": of("missing")})
        }
        Action::AccountRefresh(_) => {
            let done = graph::refresh(graph, accounts, connected).await?;
            json!({"refreshed": done.as_str()})
        }
        _ => {
            // A repeat leaves a connection alone that was made after the command.
            let only = Only::ConnectedBy(command.created_at);
            let done = graph::disconnect(graph, accounts, connected, "by command", only).await?;
            json!({"disconnected": done.disconnected, "unsubscribed": done.unsubscribed})
        }
    })
}

/// Whether the command is tried again later: Meta could not be asked now.
async fn again(
    services: &Services,
    command: &CommandRow,
    error: &GraphError,
) -> anyhow::Result<bool> {
    let hold = match error.class {
        Class::Limited(_) => Hold::Budget,
        Class::Retry | Class::Unknown => Hold::Paused,
        _ => return Ok(false),
    };
    let mut conn = services.pool.acquire().await?;
    let pause = error.retry_after.unwrap_or(services.waits.retry_max);
    let until = ledger::now(&mut conn).await?.plus(pause);
    commands::wait(&mut conn, &command.identity, until, Some(hold)).await?;
    Ok(true)
}
