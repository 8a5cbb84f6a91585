//! Asks Meta, within the time of the attempt.

use std::borrow::Cow;
use std::time::Duration;

use runtime::db::within;
use runtime::failpoint;
use schemas::ConversationId;
use serde_json::Value;

use super::claim::Attempt;
use super::settle;
use crate::answer::{self, Reading};
use crate::deadline::{self, TooLate};
use crate::decide::Answer;
use crate::ledger::CommandRow;
use crate::ledger::part_sets::Answered;
use crate::payload::{Payload, part_key};
use crate::request::{Request, request};
use crate::services::{LEDGER_WITHIN, Next, Services};
use crate::templates;
use facts::follow_up::conversations;
use graph::{Call, Failure, GraphError, Use, node};

/// Makes the request of an attempt and settles its answer.
///
/// # Errors
/// The answer could not be written down: the attempt is reconciled later.
pub(super) async fn send(services: &Services, attempt: Attempt) -> anyhow::Result<Next> {
    let command = &attempt.command;
    let remaining = attempt.ends_at.left();
    let work = ask(services, &attempt, remaining.min(services.waits.graph_timeout));
    failpoint!("send.before_call");
    let answered = match deadline::until(attempt.ends_at, work).await {
        Ok(answered) => answered,
        Err(TooLate) => Err(GraphError::without_answer(Failure::Timeout, Use::Write)),
    };
    failpoint!("send.after_call");
    let reading = match &attempt.part.payload {
        Payload::Conversion { .. } => answer::read_conversion(answered),
        Payload::TemplateSubmit { .. } => answer::read_template(answered),
        _ => answer::read(answered),
    };
    let well = !matches!(reading.answer, Answer::Lost | Answer::NotExecuted { .. });
    services.places.learn(command.channel, &command.account_id, well && reading.stop.is_none());
    if let Some(refusal) = &reading.stop {
        // Written down here or not: the ledger's row is settled in any case.
        let stop = services.accounts.stop(&attempt.connected, refusal);
        if let Err(error) = within(LEDGER_WITHIN, stop).await {
            tracing::warn!(%error, "Could not stop the account");
        }
    }
    metrics::histogram!("hookline_send_seconds", "command" => command.command.clone())
        .record(runtime::now().since(command.requested_at).as_secs_f64());
    if let Some(success) = plain_success(services, &attempt, &reading)
        && let Some(has_ended) = services.settler.settle(success).await
    {
        return Ok(if has_ended { Next::Ended } else { Next::Again });
    }
    settle::settle(services, &attempt, reading).await
}

/// An answer that says nothing but the message: no limit, no refused token, nothing about the person.
fn plain_success(services: &Services, attempt: &Attempt, reading: &Reading) -> Option<Answered> {
    let Answer::Sent { item_id: Some(item_id) } = &reading.answer else { return None };
    let account = &attempt.connected.account;
    let closed = services.graph.closed_for(account).is_some();
    let plain = !closed && !reading.limited && reading.stop.is_none() && reading.learnt.is_none();
    (plain && attempt.command.command == "reply").then(|| Answered {
        identity: attempt.command.identity.clone(),
        n: attempt.part.n,
        attempt: attempt.part.attempt,
        channel: attempt.command.channel,
        account_id: attempt.command.account_id.clone(),
        item_id: item_id.clone(),
        kept: reading.kept.clone(),
    })
}

async fn ask(
    services: &Services,
    attempt: &Attempt,
    within: Duration,
) -> Result<Value, GraphError> {
    let (command, part, connected) = (&attempt.command, &attempt.part, &attempt.connected);
    let contact = command.contact_id.as_ref().map_or("", |contact| contact.as_str());
    let key = part_key(&command.identity, part.n);
    let call =
        Call::new(call_name(&part.payload), attempt.lane()).within(within).before(attempt.ends_at);
    let graph = &services.graph;
    let payload = joined(services, command, &part.payload).await?;
    match request(&payload, command.channel, connected.account.login, contact, &key) {
        Request::Send(body) => {
            let path = [node(&connected.account), "messages"];
            graph.post(connected, call, &path, &[], &body).await
        }
        Request::Post { path, params } => {
            let path: Vec<&str> = path.split('/').collect();
            // Hiding is documented with a parameter of the query; words never belong into a URL.
            let (query, body): (Vec<_>, Vec<_>) =
                params.iter().partition(|(name, _)| *name != "message");
            let query: Vec<(&str, &str)> =
                query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let body = body
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                .collect();
            graph.post(connected, call, &path, &query, &Value::Object(body)).await
        }
        Request::OnPage { edge, body } => {
            let path = [node(&connected.account), edge];
            let answered = graph.post(connected, call, &path, &[], &body).await;
            templates::or_existing(services, connected, &payload, answered).await
        }
        Request::Json { path, body } => {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let mut answered = graph.post(connected, call, &path, &[], &body).await?;
            // What was joined is part of the outcome.
            if let (Some(ad), Some(fields)) = (payload.ad_id(), answered.as_object_mut()) {
                fields.insert("ad_id".to_owned(), ad.into());
            }
            Ok(answered)
        }
        Request::Delete { path } => graph.delete(connected, call, &[path.as_str()]).await,
    }
}

/// A conversion with the last ad that brought the person here; anything else as it is.
///
/// # Errors
/// The database did not say which: nothing was asked, and it is attempted again.
async fn joined<'a>(
    services: &Services,
    command: &CommandRow,
    payload: &'a Payload,
) -> Result<Cow<'a, Payload>, GraphError> {
    let Payload::Conversion { contact_id: Some(contact), .. } = payload else {
        return Ok(Cow::Borrowed(payload));
    };
    let conversation = ConversationId::of(command.channel, &command.account_id, contact);
    let ad = conversations::last_ad(&services.pool, &conversation);
    match within(LEDGER_WITHIN, ad).await {
        Ok(ad) => Ok(Cow::Owned(payload.clone().with_ad(ad.as_deref()))),
        Err(_) => Err(GraphError::without_answer(Failure::Connect, Use::Write)),
    }
}

/// The name of the call in metrics and spans.
const fn call_name(payload: &Payload) -> &'static str {
    match payload {
        Payload::Message { .. } => "send",
        Payload::SenderAction { .. } => "sender_action",
        Payload::CommentReply { .. } => "comment_reply",
        Payload::PrivateReply { .. } => "private_reply",
        Payload::CommentCreate { .. } => "comment_create",
        Payload::CommentHide { .. } => "comment_hide",
        Payload::CommentDelete { .. } => "comment_delete",
        Payload::Conversion { .. } => "conversion",
        Payload::TemplateSubmit { .. } => "template_submit",
        Payload::TemplateSend { .. } => "template_send",
    }
}
