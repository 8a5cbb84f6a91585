//! `GET /v1/conversations/{id}/policy`: what the worker would say to a reply now, by the worker's own policy (the room `policy`).

use std::time::Duration;

use ::policy::{SendKind, Situation, Stops, Verdict, advise};
use axum::Json;
use schemas::Timestamp;
use schemas::command::Requester;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::Caller;
use crate::contacts;
use crate::extract::{Id, Query};
use crate::problem::Problem;
use crate::worker_views::policy::{self, SituationRow};

/// As whom.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PolicyQuery {
    /// `person` or `automation`; as the token is unless set.
    #[serde(rename = "as")]
    #[param(value_type = Option<String>)]
    pub requester: Option<Requester>,
}

/// What the worker would say now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyAnswer {
    /// Whether a reply is sent that is asked for now.
    pub allowed: bool,
    /// The rule that decides.
    #[schema(example = "window.24h")]
    pub rule: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub reason: Option<String>,
    /// The same for programs, such as `window_closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub code: Option<String>,
    /// Until when it is allowed, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub expires_at: Option<String>,
    /// The tag it needs: `HUMAN_AGENT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub tag: Option<String>,
    /// Why it would wait although it is allowed: `frozen`, `account_stopped`, `parked` or `paused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub held: Option<String>,
}

/// Read what the worker would say to a reply now
///
/// The worker judges again before it sends; its verdict is final.
///
/// # Errors
/// 404 without such a conversation; 422 naming `as`.
#[utoipa::path(get, path = "/v1/conversations/{id}/policy", tag = "conversations",
    params(("id" = String, Path, description = "`cnv_…`"), PolicyQuery),
    responses((status = 200, body = PolicyAnswer), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<PolicyQuery>,
) -> Result<Json<PolicyAnswer>, Problem> {
    let requester = query.requester.unwrap_or(caller.kind);
    let target = contacts::target(&app.pool, &caller, &id).await?;
    let (account, contact) = (&target.account_id, &target.contact_id);
    let row = policy::situation(&app.pool, target.channel, account, &id, contact).await?;
    let row = row.ok_or_else(|| {
        Problem::not_found("the account of this conversation is none of hookline's: add it again")
    })?;
    Ok(Json(answer(&row, contact.as_str(), requester)))
}

fn answer(row: &SituationRow, contact: &str, requester: Requester) -> PolicyAnswer {
    let situation = Situation {
        kind: SendKind::Message { tag: None, automatic: false },
        requester,
        requested_at: row.now,
        auto_reply_max_age: Duration::MAX,
        contact,
        to_itself: row.to_itself,
        opened_at: row.opened_at,
        other_owns: row.other_owns,
        others_replied_at: row.others_replied_at,
        cause_deleted: false,
        blocked: row.blocked,
        unreachable: row.unreachable,
        own_comment: false,
    };
    let stops = Stops {
        disconnected: row.account_state == "disconnected",
        frozen: row.frozen,
        stopped: row.account_state == "stopped",
        parked: row.parked,
        paused: row.paused,
    };
    let advice = advise(&situation, stops, row.now);
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let (tag, held) = (advice.tag.map(str::to_owned), advice.held.map(str::to_owned));
    match advice.verdict {
        Verdict::Allowed { rule, until } => PolicyAnswer {
            allowed: true,
            rule: rule.to_owned(),
            reason: None,
            code: None,
            expires_at: text(until),
            tag,
            held,
        },
        Verdict::Refused(refusal) => PolicyAnswer {
            allowed: false,
            rule: refusal.rule.to_owned(),
            reason: Some(refusal.message),
            code: Some(refusal.code.to_owned()),
            expires_at: text(refusal.until),
            tag,
            held,
        },
    }
}
