//! One step of one command: claim it, write down what is about to happen, do it, write down what came of it. What is simply to be sent is
//! claimed together ([`mod@claim_all`]), and simple successes are written down together ([`crate::settler`]).

mod claim;
mod claim_all;
mod claim_step;
mod conditions;
mod news;
mod send;
mod settle;

use runtime::db::within;
use schemas::command::Action;
use tracing::{Instrument, Span};

use crate::attempt_log::Behind;
use crate::ledger::{self, CommandRow, commands, queue};
use crate::services::{LEDGER_WITHIN, Next, Services};
use crate::{
    account_acts, hide_many, import, insights, media_sync, reconcile, reply_acts, templates,
};
pub(crate) use claim::Attempt;
use claim::{Claimed, claim};
pub(crate) use claim_all::{ClaimedAll, claim_all};
use claim_step::News;

/// How long a command that this release does not know is left alone.
const UNKNOWN_PAUSE: std::time::Duration = std::time::Duration::from_secs(60);

/// Does what is next for a command, if it is due and nobody else has it.
///
/// # Errors
/// Database, broker or the store of tokens failed. What was not committed is rolled back, and the ledger says what to do at the next
/// step.
pub(crate) async fn step(services: &Services, identity: &str) -> anyhow::Result<Next> {
    let mut claimed = within(LEDGER_WITHIN, claim(services, identity, News::NotAsked)).await?;
    if let Claimed::AskForNews(command) = claimed {
        let news = news::ask(services, &command).await;
        claimed = within(LEDGER_WITHIN, claim(services, identity, news)).await?;
    }
    match claimed {
        Claimed::Nothing(next) => Ok(next),
        Claimed::Behind => catch_up(services, identity).await,
        Claimed::AskForNews(_) => Ok(Next::Idle),
        Claimed::Send(attempt) => carry_out(services, *attempt).await,
        Claimed::Look(found) => {
            let (command, part) = *found;
            let span = tracing::info_span!("reconcile", command.id = %command.command_id);
            let span = in_trace(span, &command);
            reconcile::look(services, command, part).instrument(span).await
        }
        Claimed::Work(command) => match command.action() {
            Some(action) if action.is_about_account() => {
                account_acts::run(services, &command, &action).await
            }
            Some(action) if action.is_about_reply() => {
                match within(LEDGER_WITHIN, reply_acts::run(services, &command, &action)).await {
                    Err(error) => repeat_soon(services, identity, error).await,
                    next => next,
                }
            }
            Some(Action::MediaSync(data)) => {
                media_sync::run(services, &command, data.media_id.as_deref()).await
            }
            Some(Action::CommentHideMany(data)) => {
                hide_many::run(services, &command, &data.comment_ids, data.hidden).await
            }
            Some(Action::TemplateStatus(wanted)) => {
                templates::run(services, &command, &wanted).await
            }
            Some(Action::InsightsRefresh(data)) => insights::run(services, &command, &data).await,
            Some(Action::Sync(data)) => import::run(services, &command, data).await,
            // Of a newer release, whose workers carry it out.
            _ => leave_to_others(services, identity).await,
        },
    }
}

/// The ledger is behind the log of attempts: reads what it misses. The command is tried again after a pause.
async fn catch_up(services: &Services, identity: &str) -> anyhow::Result<Next> {
    services.log.catch_up().await?;
    // Not at once: while the ledger is behind, it would be refused again.
    let own = [identity.to_owned()];
    let pause = services.waits.retry_min;
    within(LEDGER_WITHIN, queue::reschedule(&services.pool, &own, pause)).await?;
    Ok(Next::Idle)
}

/// Puts a command far off that this release does not know.
async fn leave_to_others(services: &Services, identity: &str) -> anyhow::Result<Next> {
    let mut conn = services.pool.acquire().await?;
    let later = ledger::now(&mut conn).await?.plus(UNKNOWN_PAUSE);
    commands::wait(&mut conn, identity, later, None).await?;
    Ok(Next::Idle)
}

/// Nothing was changed by a command about a reply. Its claim has put it far off, and meanwhile the reply could be sent.
async fn repeat_soon(
    services: &Services,
    identity: &str,
    error: anyhow::Error,
) -> anyhow::Result<Next> {
    let pause = services.waits.retry_min;
    within(LEDGER_WITHIN, queue::repeat_in(&services.pool, identity, pause)).await?;
    if !error.is::<Behind>() {
        return Err(error);
    }
    services.log.catch_up().await?;
    Ok(Next::Idle)
}

/// Makes an attempt that is claimed, and writes down what came of it.
///
/// # Errors
/// The answer could not be written down: the attempt is reconciled later.
pub(crate) async fn carry_out(services: &Services, attempt: Attempt) -> anyhow::Result<Next> {
    let command = &attempt.command;
    let span = tracing::info_span!("send", command.id = %command.command_id, attempt = attempt.part.attempt);
    let span = in_trace(span, command);
    send::send(services, attempt).instrument(span).await
}

/// The work goes on in the trace that asked for it, however long that is ago.
fn in_trace(span: Span, command: &CommandRow) -> Span {
    runtime::telemetry::continue_trace(&span, command.traceparent.as_deref());
    span
}
