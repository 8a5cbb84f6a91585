//! `GET /v1/replies/{reply_id}`: where a reply stands, by the worker's ledger.

use std::time::Duration;

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::extract::{Id, Query};
use crate::list::millis;
use crate::problem::Problem;
use crate::wait::ACT_WAIT;
use crate::{App, State};

/// How often the ledger is looked at while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where a reply stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reply {
    /// Its id.
    #[schema(example = "rpl_0123456789abcdef0123456789abcdef")]
    pub reply_id: String,
    /// `queued`, `sending`, `sent`, `failed`, `partial` or `unknown`.
    #[schema(example = "sent")]
    pub status: String,
    /// Meta's id of the (first) message, once sent.
    #[serde(default)]
    pub message_id: Option<String>,
    /// When Meta accepted the last part.
    #[serde(default)]
    pub sent_at: Option<String>,
    /// The channel.
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// The conversation.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// The person.
    #[serde(default)]
    pub contact_id: Option<String>,
    /// The text, whole.
    #[serde(default)]
    pub text: Option<String>,
    /// `{n, message_id?, state, text?, sent_at?}`: long text is several.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(value_type = Vec<Object>)]
    pub parts: Vec<Value>,
    /// `{code, subcode?, class, message}`: why it was not sent.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// Calls made to Meta.
    #[serde(default, deserialize_with = "or_default")]
    pub attempts: i64,
    /// The rule of the policy that decided.
    #[serde(default)]
    pub rule: Option<String>,
    /// When it was asked for.
    #[serde(default)]
    pub requested_at: Option<String>,
    /// When it was settled.
    #[serde(default)]
    pub finished_at: Option<String>,
}

impl Reply {
    /// One that the worker has not taken up yet.
    pub fn queued(
        id: &str,
        channel: &str,
        account: &str,
        conversation: Option<&str>,
        contact: Option<&str>,
    ) -> Self {
        Self {
            reply_id: id.to_owned(),
            status: "queued".to_owned(),
            message_id: None,
            sent_at: None,
            channel: channel.to_owned(),
            account_id: account.to_owned(),
            conversation_id: conversation.map(str::to_owned),
            contact_id: contact.map(str::to_owned),
            text: None,
            parts: Vec::new(),
            error: None,
            attempts: 0,
            rule: None,
            requested_at: None,
            finished_at: None,
        }
    }

    /// Whether the outcome is known.
    pub fn is_settled(&self) -> bool {
        matches!(self.status.as_str(), "sent" | "failed" | "partial" | "unknown")
    }

    /// From a row of `worker.replies`.
    fn read(row: Value) -> Result<Self, Problem> {
        let mut reply: Self = serde_json::from_value(row).map_err(|error| {
            // It names the column and the type, never content.
            tracing::error!(%error, "A row of worker.replies cannot be read");
            Problem::internal()
        })?;
        let text =
            |part: &Value, field: &str| part.get(field).and_then(Value::as_str).map(str::to_owned);
        if reply.message_id.is_none() {
            reply.message_id = reply.parts.iter().find_map(|part| text(part, "message_id"));
        }
        if reply.sent_at.is_none() {
            reply.sent_at = reply.parts.iter().rev().find_map(|part| text(part, "sent_at"));
        }
        for time in [&mut reply.sent_at, &mut reply.requested_at, &mut reply.finished_at] {
            *time = time.take().map(millis);
        }
        for part in &mut reply.parts {
            if let Some(time) = part.get_mut("sent_at")
                && let Some(text) = time.as_str()
            {
                *time = millis(text.to_owned()).into();
            }
        }
        if reply.status == "sent" && reply.sent_at.is_none() {
            reply.sent_at.clone_from(&reply.finished_at);
        }
        Ok(reply)
    }
}

/// A column that is empty before the worker fills it.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    reader: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(reader).map(Option::unwrap_or_default)
}

/// Which account, where several have a reply with this id.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReplyQuery {
    /// Of this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Of this account.
    pub account_id: Option<String>,
}

/// Read where a reply stands
///
/// # Errors
/// 404 when there is none; 409 when several accounts have one with this id.
#[utoipa::path(get, path = "/v1/replies/{reply_id}", tag = "messages",
    params(("reply_id" = String, Path, description = "`rpl_…` or `auto:…`"), ReplyQuery),
    responses((status = 200, body = Reply), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 503, body = Problem)))]
pub async fn show(
    axum::extract::State(app): State,
    Id(id): Id,
    Query(query): Query<ReplyQuery>,
) -> Result<Json<Reply>, Problem> {
    let mut found = load(&app.pool, &id).await?;
    found.retain(|reply| {
        query.channel.is_none_or(|channel| channel.as_str() == reply.channel)
            && query.account_id.as_ref().is_none_or(|account| *account == reply.account_id)
    });
    match found.len() {
        0 => Err(Problem::unknown("reply", &id)),
        1 => Ok(Json(found.remove(0))),
        _ => {
            let choices: Vec<_> = found
                .iter()
                .map(|reply| format!("{}/{}", reply.channel, reply.account_id))
                .collect();
            Err(Problem::ambiguous("replies", &choices))
        }
    }
}

/// All replies with this id: from the worker's ledger, else as we have asked for them.
async fn load(pool: &PgPool, id: &str) -> Result<Vec<Reply>, Problem> {
    let found = ledger(pool, id).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let row: Option<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select r.channel, r.account_id, r.conversation_id, c.id \
         from api.requests r left join inbox.contacts c on c.conversation_id = r.conversation_id \
         where r.id = $1 and r.kind = 'reply'",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(row
        .map(|(channel, account, conversation, contact)| {
            Reply::queued(id, &channel, &account, conversation.as_deref(), contact.as_deref())
        })
        .into_iter()
        .collect())
}

/// Rows of the ledger; none while the worker has not made it yet.
async fn ledger(pool: &PgPool, id: &str) -> Result<Vec<Reply>, Problem> {
    let rows: Result<Vec<(Value,)>, sqlx::Error> =
        sqlx::query_as("select to_jsonb(r) from worker.replies r where r.reply_id = $1 limit 10")
            .bind(id)
            .fetch_all(pool)
            .await;
    let rows = runtime::db::absent_is_empty(rows)?;
    rows.into_iter().map(|(row,)| Reply::read(row)).collect()
}

/// Waits, at most `wait`, until the reply is settled; answers with what is known then. `None`: the worker has not taken it up yet.
///
/// # Errors
/// 503 when Postgres is away.
pub async fn settled_within(app: &App, id: &str, wait: Duration) -> Result<Option<Reply>, Problem> {
    let deadline = Instant::now() + wait;
    loop {
        let reply = ledger(&app.pool, id).await?.into_iter().next();
        let now = Instant::now();
        if now >= deadline
            || app.stopping.is_cancelled()
            || reply.as_ref().is_some_and(Reply::is_settled)
        {
            return Ok(reply);
        }
        // The outcome is an event, so the read model moves; the look in between is for when it stands still.
        tokio::select! {
            () = moved(app) => {}
            () = app.stopping.cancelled() => {}
            () = tokio::time::sleep_until(deadline.min(now + LOOK_EVERY)) => {}
        }
    }
}

/// Waits, at most 2 s and not beyond `deadline`, until what a sent reply became is in the list of messages: the ledger knows it a moment
/// earlier, and a caller should read its own write.
///
/// # Errors
/// 503 when Postgres is away.
pub async fn listed_by(app: &App, id: &str, deadline: Instant) -> Result<(), Problem> {
    let deadline = deadline.min(Instant::now() + ACT_WAIT);
    loop {
        let (listed,): (bool,) =
            sqlx::query_as("select exists (select from inbox.messages where reply_id = $1)")
                .bind(id)
                .fetch_one(&app.pool)
                .await?;
        if listed || app.stopping.is_cancelled() || Instant::now() >= deadline {
            return Ok(());
        }
        tokio::select! {
            () = moved(app) => {}
            () = app.stopping.cancelled() => {}
            () = tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_EVERY)) => {}
        }
    }
}

/// Waits until the read model moves, but not so often that many who wait keep Postgres busy.
async fn moved(app: &App) {
    tokio::time::sleep(LOOK_EVERY / 4).await;
    app.projected.changed().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_of_the_ledger_tells_message_and_time() {
        let reply = Reply::read(json!({
            "reply_id": "rpl_1", "status": "sent", "channel": "instagram", "account_id": "1", "conversation_id": "cnv_1",
            "contact_id": "2", "error": null, "attempts": 1, "rule": "window", "text": "hi", "extra": 1,
            "requested_at": "2026-11-21T10:00:00.123456+00:00",
            "parts": [{"n": 0, "state": "sent", "message_id": "m1", "sent_at": "2026-11-21T10:00:01+00:00"},
                      {"n": 1, "state": "sent", "message_id": "m2", "sent_at": "2026-11-21T10:00:02+00:00"}]
        }))
        .unwrap();
        assert_eq!(reply.message_id.as_deref(), Some("m1"));
        assert_eq!(reply.sent_at.as_deref(), Some("2026-11-21T10:00:02.000Z"));
        assert_eq!(reply.requested_at.as_deref(), Some("2026-11-21T10:00:00.123Z"));
        assert_eq!(reply.parts[0]["sent_at"], "2026-11-21T10:00:01.000Z");
        assert!(reply.is_settled());
        assert!(!Reply::queued("r", "instagram", "1", None, None).is_settled());
    }
}
