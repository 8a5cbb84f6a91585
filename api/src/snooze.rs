//! `POST /v1/conversations/{id}/snooze`.

use axum::response::Response;
use schemas::facts::ConversationSnoozed;
use schemas::{Fact, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::acts::mark;
use crate::app::State;
use crate::auth::Caller;
use crate::conversations::Conversation;
use crate::extract::{Body, Id, IdempotencyKey};
use crate::problem::Problem;

/// Until when.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snooze {
    /// RFC 3339; absent, null or past: no longer.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00Z")]
    pub until: Option<String>,
}

/// A time of RFC 3339. One that is past stays as it is, so that a repeat with the same key asks for the same; the fold takes it as none.
///
/// # Errors
/// 422 naming `field`.
pub(crate) fn time_of(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid(field, "not a time of RFC 3339, such as `2026-11-23T08:00:00Z`")
    })
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
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn snooze(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    key: IdempotencyKey,
    Body(body): Body<Snooze>,
) -> Result<Response, Problem> {
    let until = body.until.as_deref().map(|text| time_of("until", text)).transpose()?;
    let by = Some(caller.name.clone());
    let fact = ConversationSnoozed { until, by, last_message_at: None };
    mark(&app, &caller, &id, key, Fact::ConversationSnoozed(fact)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_an_offset() {
        let time = |text| time_of("until", text).map(|time| time.to_string());
        let later = "2026-11-18T11:06:41.000Z";
        assert_eq!(time("2026-11-18T12:06:41+01:00").unwrap(), later);
        assert_eq!(time("2026-11-18T11:06:41Z").unwrap(), later);
        for wrong in ["", "tomorrow", "2026-11-18", "1795000000", "2026-11-18T11:06:41"] {
            assert_eq!(time(wrong).unwrap_err().code, "invalid", "{wrong}");
        }
    }
}
