//! `GET /v1/replies/{reply_id}`: where a reply stands, by the worker's ledger. Lists of them are in [`list`], cancelling and resolving in
//! [`settle`].

use axum::Json;
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, ContactId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::Caller;
use crate::extract::{Id, Query};
use crate::problem::{Problem, only};
use crate::requests::{self, AskedReply};
use crate::status::ReplyStatus;
use crate::time::{Time, millis};
use crate::worker_views::replies::ReplyRow;
use crate::worker_views::{self, RefusedRow};

pub(crate) mod list;
pub(crate) mod settle;

/// Where a reply stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Reply {
    /// Its id.
    #[schema(example = "rpl_0123456789abcdef0123456789abcdef")]
    pub reply_id: String,
    /// `queued`, `sending`, `sent`, `failed`, `partial` or `unknown`.
    #[schema(value_type = String, example = "sent")]
    pub status: ReplyStatus,
    /// Meta's id of the (first) message, once sent.
    pub message_id: Option<String>,
    /// When Meta accepted the last part.
    pub sent_at: Option<String>,
    /// The channel.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The conversation.
    pub conversation_id: Option<String>,
    /// The person.
    #[schema(value_type = Option<String>)]
    pub contact_id: Option<ContactId>,
    /// The text, whole.
    pub text: Option<String>,
    /// `{n, message_id?, state, text?, sent_at?}`: long text is several.
    #[schema(required = false, value_type = Vec<Object>)]
    pub parts: Vec<Value>,
    /// `{code, subcode?, class, message}`: why it was not sent.
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// Calls made to Meta.
    #[schema(required = false)]
    pub attempts: i64,
    /// The rule of the policy that decided.
    pub rule: Option<String>,
    /// Why it waits although nothing is in flight: `account_stopped`, `frozen`, `paused`, `parked`, `budget`, `scheduled`. Left out where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub held: Option<String>,
    /// When it was asked for.
    pub requested_at: Option<String>,
    /// When it was settled.
    pub finished_at: Option<String>,
}

impl Reply {
    /// One that the worker has not taken up yet.
    pub(crate) fn queued(
        id: &str,
        channel: Channel,
        account: AccountId,
        conversation: Option<String>,
        contact: Option<ContactId>,
    ) -> Self {
        Self {
            reply_id: id.to_owned(),
            status: ReplyStatus::Queued,
            message_id: None,
            sent_at: None,
            channel,
            account_id: account,
            conversation_id: conversation,
            contact_id: contact,
            text: None,
            parts: Vec::new(),
            error: None,
            attempts: 0,
            rule: None,
            held: None,
            requested_at: None,
            finished_at: None,
        }
    }

    /// It was refused by the worker.
    fn refused(self, row: RefusedRow) -> Self {
        let wire = |time: Time| Some(Timestamp::from(time.0).to_string());
        let (requested_at, finished_at) = (wire(row.requested_at), wire(row.finished_at));
        Self { status: ReplyStatus::Failed, error: row.error, requested_at, finished_at, ..self }
    }

    /// It never will be carried out.
    fn failed(self, error: OutcomeError) -> Self {
        let error = serde_json::to_value(error).ok();
        Self { status: ReplyStatus::Failed, error, ..self }
    }

    /// Whether the outcome is known.
    pub(crate) const fn is_settled(&self) -> bool {
        use ReplyStatus::{Failed, Partial, Queued, Sending, Sent, Unknown};
        match self.status {
            Sent | Failed | Partial | Unknown => true,
            Queued | Sending => false,
        }
    }
}

/// A reply as the worker's ledger has it.
impl From<ReplyRow> for Reply {
    fn from(row: ReplyRow) -> Self {
        let wire = |time: Time| Timestamp::from(time.0).to_string();
        let mut parts = match row.parts {
            Value::Array(parts) => parts,
            _ => Vec::new(),
        };
        for part in &mut parts {
            if let Some(time) = part.get_mut("sent_at")
                && let Some(text) = time.as_str()
            {
                *time = millis(text.to_owned()).into();
            }
        }
        let text =
            |part: &Value, field: &str| part.get(field).and_then(Value::as_str).map(str::to_owned);
        let finished_at = row.finished_at.map(wire);
        let sent_at = parts.iter().rev().find_map(|part| text(part, "sent_at"));
        let settled_as_sent = row.status == ReplyStatus::Sent;
        Self {
            reply_id: row.reply_id,
            status: row.status,
            message_id: parts.iter().find_map(|part| text(part, "message_id")),
            sent_at: sent_at.or_else(|| finished_at.clone().filter(|_| settled_as_sent)),
            channel: row.channel,
            account_id: row.account_id,
            conversation_id: row.conversation_id,
            contact_id: row.contact_id,
            text: row.text,
            parts,
            error: row.error,
            attempts: i64::from(row.attempts),
            rule: row.rule,
            held: row.held,
            requested_at: Some(wire(row.requested_at)),
            finished_at,
        }
    }
}

/// Which account, where several have a reply with this id.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplyQuery {
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
    responses((status = 200, body = Reply), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ReplyQuery>,
) -> Result<Json<Reply>, Problem> {
    find(&app.pool, &caller, &id, &query).await.map(Json)
}

/// The one reply with this id that the caller sees.
///
/// # Errors
/// 404 when there is none; 409 when several accounts have one.
async fn find(
    pool: &PgPool,
    caller: &Caller,
    id: &str,
    query: &ReplyQuery,
) -> Result<Reply, Problem> {
    let mut found = load(pool, id).await?;
    let named = (query.channel, query.account_id.as_deref());
    found.retain(|reply| caller.means(named, reply.channel, &reply.account_id));
    let name = |reply: &Reply| format!("{}/{}", reply.channel, reply.account_id);
    only("replies", found, name)?.ok_or_else(|| Problem::unknown("reply", id))
}

/// All replies with this id: from the worker's ledger, else as they were asked for here. What was asked for here and refused, or never
/// reached the broker, has failed.
pub(crate) async fn load(pool: &PgPool, id: &str) -> sqlx::Result<Vec<Reply>> {
    let found = worker_views::replies::by_id(pool, id).await?;
    if !found.is_empty() {
        return Ok(found.into_iter().map(Reply::from).collect());
    }
    let Some(asked) = requests::asked_reply(pool, id).await? else { return Ok(Vec::new()) };
    let refused = worker_views::refused(pool, id, asked.channel, &asked.account_id).await?;
    let AskedReply { channel, account_id, conversation_id, contact_id, given_up, erased } = asked;
    let queued = Reply::queued(id, channel, account_id, conversation_id, contact_id);
    Ok(vec![match refused {
        Some(refused) => queued.refused(refused),
        None if erased => queued.failed(requests::erased()),
        None if given_up => queued.failed(requests::not_published()),
        None => queued,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use serde_json::json;

    #[test]
    fn a_row_of_the_ledger_holds_message_and_time() {
        let requested_at = DateTime::parse_from_rfc3339("2026-11-21T10:00:00.123456+00:00");
        let reply = Reply::from(ReplyRow {
            reply_id: "rpl_1".to_owned(),
            status: ReplyStatus::Sent,
            channel: Channel::Instagram,
            account_id: "1".into(),
            conversation_id: Some("cnv_1".to_owned()),
            contact_id: Some("2".into()),
            error: None,
            attempts: 1,
            rule: Some("window".to_owned()),
            held: None,
            identity: "cmd_1".to_owned(),
            text: Some("hi".to_owned()),
            requested_at: Time(requested_at.unwrap().to_utc()),
            finished_at: None,
            parts: json!([{"n": 0, "state": "sent", "message_id": "m1", "sent_at": "2026-11-21T10:00:01+00:00"},
                      {"n": 1, "state": "sent", "message_id": "m2", "sent_at": "2026-11-21T10:00:02+00:00"}]),
        });
        assert_eq!(reply.message_id.as_deref(), Some("m1"));
        assert_eq!(reply.sent_at.as_deref(), Some("2026-11-21T10:00:02.000Z"));
        assert_eq!(reply.requested_at.as_deref(), Some("2026-11-21T10:00:00.123Z"));
        assert_eq!(reply.parts[0]["sent_at"], "2026-11-21T10:00:01.000Z");
        assert!(reply.is_settled());
        let queued = Reply::queued("r", Channel::Instagram, "1".into(), None, None);
        assert!(!queued.is_settled());
    }
}
