//! `POST /v1/ops/redrive/…`: parked work is tried again or given up, as planned.

use axum::Json;
use axum::http::StatusCode;
use ops::{Ask, RedriveAct, WantedWork};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::allow;
use super::send::REASON_MAX;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Body, Query, check_text};
use crate::problem::Problem;

/// Most numbers of rows at once.
const IDS_MAX: usize = 1_000;

/// A plan, or the act.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanQuery {
    /// `true`: counts what the act would do, and changes nothing.
    #[serde(default)]
    pub plan: bool,
}

/// With `?plan=true` which parked work; without it the plan and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redrive {
    /// Of a plan: what failed by this cause; of a new try the projector's deletions go along.
    pub cause: Option<String>,
    /// Of a plan: this lane of the normaliser.
    pub lane: Option<String>,
    /// Of a plan: what this stage parked, `normalize` or `projector`.
    pub stage: Option<String>,
    /// Of a plan: these rows of the stage: `id` of the normaliser's first rows, `seq` of the projector's.
    pub ids: Option<Vec<i64>>,
    /// Of the act: the plan.
    pub plan_id: Option<String>,
    /// Of the act: why; kept.
    pub reason: Option<String>,
}

/// How much it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Counts {
    /// Lanes of the normaliser: conversations, posts, accounts, or single webhooks.
    pub lanes: u64,
    /// Events of the projector.
    pub events: u64,
}

/// A plan, or the job that carries one out.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Planned {
    /// Names the plan for 15 minutes; of a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// In `GET /v1/ops/jobs`; of the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// What was counted.
    pub counts: Counts,
}

/// Try parked work again
///
/// First `?plan=true`, then the act with the `plan_id`: a job of the role `ops` that tries 1, then 10, then the rest, and stops where a step
/// fails again. A plan named twice answers with the same job.
///
/// # Errors
/// 403 without the scope `admin`; 404 for a plan that nobody knows and for a token of some accounts; 409 `plan_stale` where the plan is older
/// than 15 minutes or counts something else by now; 422 naming the field; 503 where the role `ops` does not answer: repeat it.
#[utoipa::path(post, path = "/v1/ops/redrive/run", tag = "operators", params(PlanQuery), request_body = Redrive,
    responses((status = 200, description = "The plan", body = Planned), (status = 202, description = "The job", body = Planned),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn run(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<PlanQuery>,
    Body(body): Body<Redrive>,
) -> Result<(StatusCode, Json<Planned>), Problem> {
    redrive(&app, &caller, RedriveAct::Run, &query, body).await
}

/// Give parked work up for good
///
/// Of lanes the first rows; what waits behind them goes on. The log keeps what came in. First `?plan=true` with a cause or ids, then the act
/// with the `plan_id`.
///
/// # Errors
/// As of the new try.
#[utoipa::path(post, path = "/v1/ops/redrive/discard", tag = "operators", params(PlanQuery), request_body = Redrive,
    responses((status = 200, description = "The plan", body = Planned), (status = 202, description = "The job", body = Planned),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn discard(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<PlanQuery>,
    Body(body): Body<Redrive>,
) -> Result<(StatusCode, Json<Planned>), Problem> {
    redrive(&app, &caller, RedriveAct::Discard, &query, body).await
}

async fn redrive(
    app: &App,
    caller: &Caller,
    act: RedriveAct,
    query: &PlanQuery,
    body: Redrive,
) -> Result<(StatusCode, Json<Planned>), Problem> {
    allow(caller)?;
    let (status, ask) = match asked(act, query.plan, body)? {
        ask @ Ask::PlanRedrive { .. } => (StatusCode::OK, ask),
        ask => (StatusCode::ACCEPTED, ask),
    };
    Ok((status, Json(app.ask(caller, ask).await?)))
}

/// A plan says which work, an act which plan: both at once would be read in two ways.
fn asked(act: RedriveAct, plan: bool, body: Redrive) -> Result<Ask, Problem> {
    let Redrive { cause, lane, stage, ids, plan_id, reason } = body;
    if plan {
        if plan_id.is_some() {
            return Err(Problem::invalid("plan_id", "a plan has no plan: leave it out"));
        }
        for (field, value) in [("cause", &cause), ("lane", &lane), ("stage", &stage)] {
            if let Some(value) = value {
                check_text(field, value, 255)?;
            }
        }
        if ids.as_ref().is_some_and(|ids| ids.is_empty() || IDS_MAX < ids.len()) {
            return Err(Problem::invalid("ids", format!("name 1 to {IDS_MAX}")));
        }
        return Ok(Ask::PlanRedrive { act, wanted: WantedWork { cause, lane, stage, ids } });
    }
    if cause.is_some() || lane.is_some() || stage.is_some() || ids.is_some() {
        return Err(Problem::invalid(
            "plan_id",
            "the plan says which work: ask for it with `?plan=true`",
        ));
    }
    let plan_id =
        plan_id.ok_or_else(|| Problem::invalid("plan_id", "plan first, with `?plan=true`"))?;
    check_text("plan_id", &plan_id, 255)?;
    let reason = reason.ok_or_else(|| Problem::invalid("reason", "say why"))?;
    check_text("reason", &reason, REASON_MAX)?;
    Ok(Ask::Redrive { act, plan_id, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_names_a_plan_and_nothing_else() {
        let of = |cause: Option<&str>, plan_id: Option<&str>, reason: Option<&str>| Redrive {
            cause: cause.map(str::to_owned),
            plan_id: plan_id.map(str::to_owned),
            reason: reason.map(str::to_owned),
            ..Redrive::default()
        };
        let ask = |plan, body| asked(RedriveAct::Run, plan, body).map_err(|problem| problem.code);
        assert!(matches!(ask(true, of(Some("a"), None, None)), Ok(Ask::PlanRedrive { .. })));
        assert!(matches!(ask(false, of(None, Some("p"), Some("x"))), Ok(Ask::Redrive { .. })));
        for (plan, body) in [
            (true, of(None, Some("p"), None)),
            (false, of(Some("a"), Some("p"), Some("x"))),
            (false, of(None, None, Some("x"))),
            (false, of(None, Some("p"), None)),
            (false, of(None, Some("p"), Some(" "))),
        ] {
            assert_eq!(ask(plan, body).err(), Some("invalid"));
        }
    }
}
