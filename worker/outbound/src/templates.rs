//! Message templates: what Meta has decided about them, asked on command and from time to time.

use std::time::Duration;

use runtime::db::within;
use runtime::waits;
use schemas::command::TemplateRef;
use schemas::facts::OutcomeError;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::ledger::commands::End;
use crate::ledger::{self, CommandRow};
use crate::payload::Payload;
use crate::reading;
use crate::services::{LEDGER_WITHIN, Next, Services};
use crate::state::CommandState;
use facts::accounts::Connected;
use facts::templates::{self, Shown, TemplateKey};
use graph::{Class, FoundTemplate, GraphError, Lane};

/// How often it is looked whether Meta is to be asked about a template.
const EVERY: Duration = Duration::from_secs(1);
/// Meta is asked about a pending template after twice as long each time, at most this.
const LOOK_MAX: Duration = Duration::from_secs(6 * 3600);

/// `template_status`: reads what Meta has decided. The command is claimed.
///
/// # Errors
/// Database or the store of tokens failed; it is read again when the claim lapses.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    wanted: &TemplateRef,
) -> anyhow::Result<Next> {
    let connected = services.accounts.get(command.channel, &command.account_id).await?;
    let Some(connected) = connected else { return Ok(Next::Idle) };
    let key = key_of(command, &wanted.name, &wanted.language);
    let end = match look(services, &connected, &key).await? {
        Err(error) => return reading::failed(services, command, &connected, &error).await,
        Ok(Some(found)) => End {
            state: CommandState::Sent,
            rule: None,
            error: None,
            result: Some(result(&found, false)),
        },
        Ok(None) => {
            let detail = format!("the page has no template `{}` in {}", key.name, key.language);
            let error = OutcomeError::own("not_found", "invalid", detail);
            End { state: CommandState::Failed, rule: None, error: Some(error), result: None }
        }
    };
    reading::end_with(services, command, end).await
}

/// Asks Meta about a template and writes down what it shows.
async fn look(
    services: &Services,
    connected: &Connected,
    key: &TemplateKey,
) -> anyhow::Result<Result<Option<FoundTemplate>, GraphError>> {
    let mut conn = services.pool.acquire().await?;
    let since = ledger::now(&mut conn).await?;
    drop(conn);
    let found = services.graph.template(connected, &key.name, &key.language, Lane::Enrich).await;
    if let Ok(Some(found)) = &found {
        let shown = Shown {
            id: Some(found.id.as_str()),
            status: &found.status,
            category: found.category.as_deref(),
            reason: found.reason.as_deref(),
        };
        let mut conn = services.pool.acquire().await?;
        templates::shown(&mut conn, key, &shown, since).await?;
    }
    Ok(found)
}

/// Meta refused a template: perhaps because it has one of this name and language. Then that one is the answer.
pub(crate) async fn or_existing(
    services: &Services,
    connected: &Connected,
    payload: &Payload,
    answered: Result<Value, GraphError>,
) -> Result<Value, GraphError> {
    match (payload, answered) {
        (Payload::TemplateSubmit { name, language, .. }, Err(refused))
            if refused.class == Class::Invalid =>
        {
            let found = services.graph.template(connected, name, language, Lane::Enrich).await;
            match found {
                Ok(Some(found)) => Ok(result(&found, true)),
                _ => Err(refused),
            }
        }
        (_, answered) => answered,
    }
}

/// A template as an outcome carries it.
fn result(found: &FoundTemplate, existed: bool) -> Value {
    let mut result = json!({ "id": found.id, "status": found.status });
    if let Some(category) = &found.category {
        result["category"] = category.as_str().into();
    }
    if let Some(reason) = &found.reason {
        result["reason"] = reason.as_str().into();
    }
    if existed {
        result["existed"] = true.into();
    }
    result
}

fn key_of(command: &CommandRow, name: &str, language: &str) -> TemplateKey {
    TemplateKey {
        channel: command.channel,
        account_id: command.account_id.clone(),
        name: name.to_owned(),
        language: language.to_owned(),
    }
}

/// Asks Meta about pending templates until `shutdown`: their webhook does not come reliably.
pub(crate) async fn watch(services: Services, shutdown: CancellationToken) {
    let rounds = async {
        loop {
            tokio::time::sleep(EVERY).await;
            let first = waits::TEMPLATE_LOOK.get();
            let due = templates::due(&services.pool, first, LOOK_MAX);
            let due = match within(LEDGER_WITHIN, due).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!(%error, "Could not look for pending templates");
                    continue;
                }
            };
            for key in due {
                if let Err(error) = ask(&services, &key).await {
                    tracing::debug!(error = %format!("{error:#}"), "Could not ask about a template");
                }
            }
        }
    };
    shutdown.run_until_cancelled(rounds).await;
}

async fn ask(services: &Services, key: &TemplateKey) -> anyhow::Result<()> {
    let connected = services.accounts.get(key.channel, &key.account_id).await?;
    let Some(connected) = connected.filter(|connected| !connected.account.stopped) else {
        return Ok(());
    };
    if let Err(error) = look(services, &connected, key).await? {
        tracing::debug!(account.id = %key.account_id, %error, "Meta did not say what became of a template");
        if error.class == Class::Account {
            services.accounts.stop(&connected, &error.refusal()).await?;
        }
    }
    Ok(())
}
