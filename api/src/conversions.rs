//! Conversions: events for Meta's Conversions API, and what became of them. What names a person is hashed here, before it is stored anywhere.

use axum::Json;
use schemas::Channel;
use schemas::command::{Action, ConversionData, hash_personal};
use schemas::facts::OutcomeError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::accounts;
use crate::app::State;
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand, error_of};
use crate::extract::{Body, IdempotencyKey, Query, wait_of};
use crate::list::{Page, scope};
use crate::messages::send::WaitQuery;
use crate::problem::Problem;
use crate::status::CommandStatus;
use crate::time::Time;
use crate::worker_views::conversions::{self, ConversionRow, Wanted};

/// An event to report. It has no `Debug`: personal fields are in clear until they are hashed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConversion {
    /// The account whose token reports it: connected by Facebook Login.
    pub account_id: String,
    /// On this channel, where both have an account with this id.
    #[schema(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// `business_messaging` for what happened in the thread.
    #[schema(example = "business_messaging")]
    pub action_source: String,
    /// The person: the ids of the thread and its last ad are joined.
    pub contact_id: Option<String>,
    /// `currency`, `value`, … Purchase needs both.
    #[schema(value_type = Option<Object>)]
    pub custom_data: Option<Map<String, Value>>,
    /// Meta's id of the dataset.
    pub dataset_id: String,
    /// One per event; the command's id unless set.
    pub event_id: Option<String>,
    /// `Purchase`, `LeadSubmitted`, …
    #[schema(example = "Purchase")]
    pub event_name: String,
    /// The page it happened on.
    pub event_source_url: Option<String>,
    /// When, in seconds since 1970; Meta takes the last seven days.
    pub event_time: i64,
    /// Shown under Test Events. The event counts all the same.
    pub test_event_code: Option<String>,
    /// Who. `em`, `ph`, `fn`, `ln`, `ct`, `st`, `zp`, `country`, `db` and `ge` are normalised and hashed before anything is stored, unless they are hashes.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub user_data: Map<String, Value>,
}

/// An event that was reported.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversion {
    /// The command.
    pub command_id: String,
    /// `queued`, `done`, `failed`, or `unknown`: Meta's answer was lost or in part. It is never repeated.
    #[schema(value_type = String)]
    pub status: CommandStatus,
    /// The channel.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// The person, where one was named.
    pub contact_id: Option<String>,
    /// Meta's id of the dataset.
    pub dataset_id: Option<String>,
    /// `Purchase`, …
    pub event_name: Option<String>,
    /// The event's id.
    pub event_id: String,
    /// When it happened, in seconds since 1970.
    pub event_time: Option<i64>,
    /// As it was given.
    pub test_event_code: Option<String>,
    /// `events_received`, `fbtrace_id`, and `ad_id` where one was joined.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Why it had no effect.
    #[schema(value_type = Option<Object>)]
    pub error: Option<OutcomeError>,
    /// When it was asked for.
    pub requested_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
}

impl From<ConversionRow> for Conversion {
    fn from(row: ConversionRow) -> Self {
        Self {
            command_id: row.command_id,
            status: row.status,
            channel: row.channel,
            account_id: row.account_id,
            contact_id: row.contact_id,
            dataset_id: row.dataset_id,
            event_name: row.event_name,
            event_id: row.event_id,
            event_time: row.event_time,
            test_event_code: row.test_event_code,
            result: row.result,
            error: error_of(row.error),
            requested_at: row.requested_at,
            finished_at: row.finished_at,
        }
    }
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversions {
    /// Those asked for last first.
    pub conversions: Vec<Conversion>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversionsQuery {
    /// `queued`, `done`, `failed` or `unknown`.
    pub status: Option<String>,
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// Report a conversion to Meta
///
/// One event. Meta does not deduplicate events of threads: one whose answer is lost ends as `unknown` and is never reported again.
///
/// # Errors
/// 404, 409, 422, 503: repeat with the same key.
#[utoipa::path(post, path = "/v1/conversions", tag = "conversions", request_body = NewConversion,
    params(WaitQuery, ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters of your own.")),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn report(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<WaitQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewConversion>,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let key = key.required()?;
    let account = accounts::find(&app.pool, &caller, &body.account_id, body.channel).await?;
    if account.login == "instagram" {
        return Err(Problem::invalid(
            "account_id",
            "connected by Instagram Login, which has no Conversions API: connect it by Facebook Login",
        ));
    }
    let mut user_data = body.user_data;
    hash_personal(&mut user_data)?;
    let data = ConversionData {
        action_source: body.action_source,
        contact_id: body.contact_id.map(Into::into),
        custom_data: body.custom_data,
        dataset_id: body.dataset_id,
        event_id: body.event_id,
        event_name: body.event_name,
        event_source_url: body.event_source_url,
        event_time: body.event_time,
        test_event_code: body.test_event_code,
        user_data,
    };
    let new = NewCommand {
        caller: &caller,
        key: Some(key),
        channel: account.channel,
        account: account.id.into(),
        contact: data.contact_id.clone(),
        action: Action::ConversionEvent(data),
    };
    app.command(new, wait).await
}

/// List conversions
///
/// The events that were reported and what became of each; without what they said of a person.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/conversions", tag = "conversions", params(ConversionsQuery),
    responses((status = 200, body = Conversions), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<ConversionsQuery>,
) -> Result<Json<Conversions>, Problem> {
    let status: Option<CommandStatus> = match query.status.as_deref().map(str::parse) {
        None => None,
        Some(Ok(status)) => Some(status),
        Some(Err(_)) => {
            return Err(Problem::invalid("status", "use queued, done, failed or unknown"));
        }
    };
    let filters = [
        ("status", query.status.as_deref()),
        ("channel", query.channel.map(Channel::as_str)),
        ("account_id", query.account_id.as_deref()),
    ];
    let filters = scope("conversions", &filters);
    let page = Page::read(&app.cursors, &caller, filters, query.cursor.as_deref(), query.limit)?;
    let wanted = Wanted {
        status,
        channel: query.channel,
        accounts: caller.reach.within(query.account_id.as_deref()),
    };
    let rows = conversions::page(&app.pool, &wanted, &page).await?;
    let page = page.cut(&app.cursors, rows);
    let conversions = page.rows.into_iter().map(Conversion::from).collect();
    Ok(Json(Conversions { conversions, next_cursor: page.next_cursor }))
}
