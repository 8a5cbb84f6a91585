//! `GET /v1/conversations/{id}/messages` and answering.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::command::{Action, OutboundAttachment, OutboundQuickReply, ReplyData, SyncData};
use schemas::window::HUMAN_AGENT;
use schemas::{Command, CommandId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::commands::Wish;
use crate::conversations::{self, Target};
use crate::extract::{Body, Id, IdempotencyKey, Query, wait_of};
use crate::list::{Keyed, List, Page, Time, equals};
use crate::problem::Problem;
use crate::publish::{Known, Message as Publish, Request, digest};
use crate::replies::{self, Reply};
use crate::{App, State};

mod window;

/// How long `sync=true` waits for Graph.
const SYNC_WAIT: Duration = Duration::from_secs(20);

/// A message.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Message {
    /// Our id.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// Meta's id.
    pub message_id: String,
    /// `inbound`, `outbound` or `unknown`.
    pub direction: String,
    /// Its text as of the last edit; null when there is none or it was unsent.
    pub text: Option<String>,
    /// Its attachments.
    #[schema(value_type = Vec<Object>)]
    pub attachments: Value,
    /// The quoted message or story.
    #[schema(value_type = Option<Object>)]
    pub reply_to: Option<Value>,
    /// Present reactions.
    #[schema(value_type = Vec<Object>)]
    pub reactions: Value,
    /// When it was sent.
    pub sent_at: Time,
    /// When it was last edited.
    pub edited_at: Option<Time>,
    /// When it was unsent.
    pub deleted_at: Option<Time>,
    /// When it reached the person.
    pub delivered_at: Option<Time>,
    /// When the person read it.
    pub read_at: Option<Time>,
    /// What brought the person here.
    #[schema(value_type = Option<Object>)]
    pub referral: Option<Value>,
    /// Outbound: `api`, `app` or `other`.
    pub sent_by: Option<String>,
    /// Outbound: our reply.
    pub reply_id: Option<String>,
}

impl Keyed for Message {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.sent_at, Cow::Borrowed(&self.id))
    }
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Messages {
    /// Newest first.
    pub messages: Vec<Message>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessagesQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
    /// `true`: first import the conversation from Graph.
    pub sync: Option<bool>,
}

const LIST: List = List {
    name: "messages",
    columns: "id, message_id, direction, text, attachments, reply_to, reactions, sent_at, edited_at, deleted_at, \
              delivered_at, read_at, referral, sent_by, reply_id",
    from: "inbox.messages",
    time: "sent_at",
    id: "id",
};

/// List the messages of a conversation
///
/// Newest first. With `sync=true` the conversation is imported from Graph first; when that takes longer than 20 s, what is known is
/// listed, and what comes later follows on `/v1/live`.
///
/// # Errors
/// 404 without such a conversation, 422 naming the parameter, 502 `sync_failed` with Meta's answer.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = String, Path, description = "`cnv_…`"), MessagesQuery),
    responses((status = 200, body = Messages), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<Messages>, Problem> {
    let target = conversations::target(&app.pool, &id).await?;
    if query.sync == Some(true) {
        sync(&app, &caller, target).await?;
    }
    let page = Page { cursor: query.cursor.as_deref(), limit: query.limit, filters: id.clone() };
    let rows = LIST
        .page(&app.pool, &app.cursors, &page, |builder| {
            equals(builder, "conversation_id", Some(&id))
        })
        .await?;
    Ok(Json(Messages { messages: rows.rows, next_cursor: rows.next_cursor }))
}

async fn sync(app: &Arc<App>, caller: &Caller, target: Target) -> Result<(), Problem> {
    let wish = Wish {
        caller,
        key: None,
        channel: target.channel,
        account: target.account,
        contact: Some(target.contact.clone()),
        action: Action::Sync(SyncData { contact_id: Some(target.contact) }),
    };
    let state = app.command(wish, SYNC_WAIT).await?;
    if state.status == "failed" || state.status == "unknown" {
        let reason = state.error.map_or_else(
            || "the outcome is not known".to_owned(),
            |error| format!("{} ({}): {}", error.class, error.code, error.message),
        );
        return Err(Problem::sync_failed(reason));
    }
    Ok(())
}

/// A reply: exactly one of text, attachment, template; quick replies go with text.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// Plain text; long text becomes several parts.
    #[schema(example = "Hello, how can we help?")]
    pub text: Option<String>,
    /// A file by URL or by Meta's attachment id.
    pub attachment: Option<NewAttachment>,
    /// A template payload as Meta takes it.
    #[schema(value_type = Option<Object>)]
    pub template: Option<Value>,
    /// At most 13.
    #[serde(default)]
    pub quick_replies: Vec<NewQuickReply>,
    /// Meta's id of the message to quote.
    pub reply_to: Option<String>,
    /// `HUMAN_AGENT`, by a person only: up to 7 days after the person's last message.
    pub tag: Option<String>,
}

/// A file to send.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAttachment {
    /// `image`, `video`, `audio` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where Meta fetches it.
    pub url: Option<String>,
    /// Meta's id of an uploaded file.
    pub attachment_id: Option<String>,
    /// Whether Meta keeps it for later sends.
    pub is_reusable: Option<bool>,
}

/// A quick reply to offer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuickReply {
    /// At most 20 characters.
    pub title: String,
    /// At most 1000 characters; the title where absent.
    pub payload: Option<String>,
}

impl NewMessage {
    fn into_data(self) -> Result<ReplyData, Problem> {
        let data = ReplyData {
            text: self.text,
            attachment: self.attachment.map(|file| OutboundAttachment {
                kind: file.kind,
                url: file.url,
                attachment_id: file.attachment_id,
                is_reusable: file.is_reusable,
            }),
            template: self.template,
            quick_replies: self
                .quick_replies
                .into_iter()
                .map(|reply| OutboundQuickReply { title: reply.title, payload: reply.payload })
                .collect(),
            reply_to: self.reply_to.map(Into::into),
            tag: self.tag,
            caused_by: None,
        };
        data.check()?;
        if data.text.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(Problem::invalid("text", "must not hold a NUL character"));
        }
        if data.reply_to.as_ref().is_some_and(|id| id.as_str().is_empty()) {
            return Err(Problem::invalid("reply_to", "must not be empty"));
        }
        if data.tag.as_ref().is_some_and(|tag| tag != HUMAN_AGENT) {
            return Err(Problem::invalid(
                "tag",
                "only HUMAN_AGENT is left: Meta retired the other tags",
            ));
        }
        Ok(data)
    }
}

/// How to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// How long to wait for the outcome, such as `5s`; at most `30s`.
    #[param(example = "5s")]
    pub wait: Option<String>,
}

/// Answer
///
/// The same `Idempotency-Key` with the same body is the same reply, however often it is sent: the answer is the state of the first.
///
/// # Errors
/// 403 `window_closed` or `human_agent_person_only`, 404, 409 `key_reused`, 422, 503: repeat with the same key.
#[utoipa::path(post, path = "/v1/conversations/{id}/messages", tag = "messages", request_body = NewMessage,
    params(("id" = String, Path, description = "`cnv_…`"), WaitQuery,
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters of your own.")),
    responses((status = 200, description = "The outcome is known", body = Reply), (status = 202, description = "On its way", body = Reply),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn send(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<WaitQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewMessage>,
) -> Result<Response, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let key = key.required()?;
    let data = body.into_data()?;
    let target = conversations::target(&app.pool, &id).await?;
    let reply_id = CommandId::of_request(target.channel, &target.account, &caller.name, &key);
    let text = serde_json::to_string(&data).map_err(|_| Problem::internal())?;
    let asked = digest(&["reply", &id, &text]);
    let mut known = app.known(reply_id.as_str(), &asked).await?;
    let mut publish = None;
    if known == Known::New {
        // A repeat is not judged again: it answers with the state of the first.
        let (tag, now) = (data.tag.as_deref(), runtime::now());
        window::check(target.window_expires_at, tag, caller.kind, now.to_datetime())?;
        let command = Command {
            id: reply_id.clone(),
            channel: target.channel,
            account_id: target.account.clone(),
            contact_id: Some(target.contact.clone()),
            action: Action::Reply(data),
            requested_by: caller.requested_by(),
            requested_at: now,
        };
        command.check()?;
        let request = Request {
            id: reply_id.as_str(),
            kind: "reply",
            caller: &caller,
            channel: target.channel,
            account: &target.account,
            conversation: Some(&id),
            digest: asked,
        };
        known = app.store(&request, &command).await?;
        publish = Some(command);
    }
    match known {
        Known::New => {}
        Known::Published => publish = None,
        // The first try's command, as it was: a repeat must not differ.
        Known::Unpublished(stored) => {
            publish = Some(serde_json::from_value(stored).map_err(|_| Problem::internal())?);
        }
    }
    if let Some(command) = publish {
        app.publish(Publish::Command(&command)).await?;
        app.published(reply_id.as_str()).await?;
        tracing::info!(reply.id = %reply_id, conversation.id = %id, "Queued reply `{reply_id}`");
    }
    let deadline = Instant::now() + wait;
    let reply = replies::settled_within(&app, reply_id.as_str(), wait).await?;
    if !wait.is_zero() && reply.as_ref().is_some_and(|reply| reply.status == "sent") {
        replies::listed_by(&app, reply_id.as_str(), deadline).await?;
    }
    let reply = reply.unwrap_or_else(|| {
        Reply::queued(
            reply_id.as_str(),
            target.channel.as_str(),
            target.account.as_str(),
            Some(&id),
            Some(target.contact.as_str()),
        )
    });
    let status = if reply.is_settled() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(reply)).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(body: Value) -> Option<String> {
        let body: NewMessage = serde_json::from_value(body).unwrap();
        let problem = body.into_data().err()?;
        serde_json::to_value(problem).unwrap()["field"].as_str().map(str::to_owned)
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        assert_eq!(field(json!({"text": "hello"})), None);
        assert_eq!(
            field(json!({"attachment": {"type": "image", "url": "https://example.com/a.png"}})),
            None
        );
        assert_eq!(field(json!({"text": "hello", "tag": "HUMAN_AGENT"})), None);
        for (body, expected) in [
            (json!({}), "text"),
            (json!({"text": "  "}), "text"),
            (json!({"text": "a\u{0}b"}), "text"),
            (
                json!({"text": "a", "attachment": {"type": "image", "url": "https://example.com"}}),
                "text",
            ),
            (
                json!({"attachment": {"type": "gif", "url": "https://example.com"}}),
                "attachment.type",
            ),
            (
                json!({"attachment": {"type": "image", "url": "file:///etc/passwd"}}),
                "attachment.url",
            ),
            (json!({"template": "x"}), "template"),
            (json!({"text": "a", "tag": "ACCOUNT_UPDATE"}), "tag"),
            (json!({"text": "a", "reply_to": ""}), "reply_to"),
            (json!({"text": "a", "quick_replies": [{"title": ""}]}), "quick_replies.title"),
        ] {
            assert_eq!(field(body.clone()).as_deref(), Some(expected), "{body}");
        }
    }
}
