//! `insights_refresh`: reads figures from Graph and publishes one `insights.captured` for each metric.
//!
//! A read is harmless: a claim that lapses is carried out again, and its events have the ids of the first.

mod answer;
mod metrics;

use schemas::command::InsightsData;
use schemas::facts::{InsightsCaptured, OutcomeError};
use schemas::{Event, EventId, Fact, Timestamp, Via};

use crate::ledger::CommandRow;
use crate::ledger::commands::{self, End};
use crate::outcome;
use crate::reading;
use crate::services::{Next, Services};
use crate::state::CommandState;
use answer::{After, Captured, Found, after_failure};
use facts::Draft;
use facts::accounts::Connected;
use graph::{Call, GraphError, Lane};
use metrics::{Ask, Scope};

/// Reads the figures. The command is claimed.
///
/// # Errors
/// Database, broker or the store of tokens failed; they are read again when the claim lapses.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    data: &InsightsData,
) -> anyhow::Result<Next> {
    let connected = services.accounts.get(command.channel, &command.account_id).await?;
    let (Some(connected), Some(scope)) = (connected, Scope::of(data)) else {
        return Ok(Next::Idle);
    };
    if let Some(reason) = metrics::unsupported(command.channel) {
        let error = OutcomeError::own("unsupported", "invalid", reason);
        return finish(services, command, Found::default(), Some(error)).await;
    }
    match read(services, &connected, data, scope).await {
        Err(error) => reading::failed(services, command, &connected, &error).await,
        Ok(found) if found.is_refused() => {
            let error = OutcomeError::own(
                "metrics_refused",
                "invalid",
                "Meta has none of these metrics: `result.refused` says why, and what to ask for in their place",
            );
            finish(services, command, found, Some(error)).await
        }
        Ok(found) => publish(services, command, data, found).await,
    }
}

/// All requests, one after the other.
async fn read(
    services: &Services,
    connected: &Connected,
    data: &InsightsData,
    scope: Scope,
) -> Result<Found, GraphError> {
    let object = data.id.as_deref().unwrap_or(connected.account.id.as_str());
    let plan = metrics::asks(data, scope, connected.account.login);
    let mut found = Found { refused: plan.refused, ..Found::default() };
    // One that a whole request was refused for is found by asking for each alone.
    let mut left: Vec<Ask> = plan.asks.into_iter().rev().collect();
    while let Some(ask) = left.pop() {
        let query = ask.query();
        let query: Vec<(&str, &str)> =
            query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let call = Call::new("insights", Lane::Insights);
        match services.graph.get(connected, call, &[object, "insights"], &query).await {
            Ok(answer) => found.add(&ask, &answer),
            Err(error) => match after_failure(scope, &ask, &error) {
                After::TooFewViewers => found.too_few_viewers = true,
                After::OneByOne => {
                    left.extend(ask.metrics.iter().rev().map(|metric| ask.single(metric)));
                }
                After::Refused => found.refuse(&ask, &error),
                After::Failed => return Err(error),
            },
        }
    }
    Ok(found)
}

/// Publishes what was captured, and ends the command with it.
async fn publish(
    services: &Services,
    command: &CommandRow,
    data: &InsightsData,
    found: Found,
) -> anyhow::Result<Next> {
    let now = runtime::now();
    let drafts: Vec<Draft> =
        found.captured.iter().map(|one| draft(command, data, one, now)).collect();
    let mut emission = services.facts.begin(&drafts).await?;
    if !commands::lock_open(&mut emission.tx, &command.identity).await? {
        return Ok(Next::Idle);
    }
    let result = Some(found.result());
    let end = End { state: CommandState::Sent, rule: None, error: None, result };
    commands::finish(&mut emission.tx, &command.identity, end).await?;
    emission.commit().await?;
    Ok(Next::Ended)
}

async fn finish(
    services: &Services,
    command: &CommandRow,
    found: Found,
    error: Option<OutcomeError>,
) -> anyhow::Result<Next> {
    let end = End { state: CommandState::Failed, rule: None, error, result: Some(found.result()) };
    reading::end_with(services, command, end).await
}

fn draft(command: &CommandRow, data: &InsightsData, captured: &Captured, now: Timestamp) -> Draft {
    let (channel, account) = (command.channel, command.account_id.clone());
    // One command is one snapshot: a repeat after a crash is another reading of it.
    let key = [command.command_id.as_str(), captured.metric.as_str()];
    let id = EventId::derive(channel, &account, "insights.captured", &key);
    let fact = Fact::InsightsCaptured(InsightsCaptured {
        object: data.scope.clone(),
        media_id: data.id.clone(),
        metric: captured.metric.clone(),
        period: captured.period.clone(),
        values: captured.values.clone(),
    });
    let origin = outcome::origin(command, Via::Command);
    let mut event = Event::new(id, now, channel, account, None, origin, fact);
    event.traceparent = command.traceparent.clone();
    Draft::of(event)
}
