//! `POST /v1/conversations/{id}/snooze`.

use axum::response::Response;
use schemas::Fact;
use schemas::facts::ConversationSnoozed;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::acts::mark;
use crate::app::State;
use crate::auth::Caller;
use crate::conversations::Conversation;
use crate::extract::{Body, Id, IdempotencyKey, time_of};
use crate::problem::Problem;

/// Until when.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snooze {
    /// RFC 3339; absent, null or past: no longer.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    pub until: Option<String>,
}

/// Snooze
///
/// The conversation is out of the list until then, or until the person writes: `snoozed=true` lists those that are out. Without `until`, or
/// with one that is past, it is back at once.
///
/// # Errors
/// 404, 409 `key_reused`, 422 naming `until`, 503.
#[utoipa::path(post, path = "/v1/conversations/{id}/snooze", tag = "conversations", request_body = Snooze,
    params(("id" = String, Path, description = "`cnv_…`")),
    responses((status = 200, body = Conversation), (status = 202, description = "Stored, not projected yet", body = Conversation),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn snooze(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(body): Body<Snooze>,
) -> Result<Response, Problem> {
    // One that is past stays as it is, so that a repeat asks for the same; the fold takes it as none.
    let until = body.until.as_deref().map(|text| time_of("until", text)).transpose()?;
    let by = Some(caller.name.clone());
    let fact = ConversationSnoozed { until, by, last_message_at: None };
    mark(&app, &caller, &id, key, Fact::ConversationSnoozed(fact)).await
}
