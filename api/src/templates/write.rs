//! Writing a template, submitting it, and reading what Meta has decided.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use schemas::command::{Action, TemplateRef, TemplateSubmitData, check_channel, slug};
use schemas::ids::template_id;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::list::find;
use super::rows::{self, NewTemplate, Template};
use crate::accounts;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand};
use crate::extract::{Body, Id, IdempotencyKey, Nothing, Query, check_text, wait_of};
use crate::messages::send::WaitQuery;
use crate::problem::Problem;

const NAME_CHARS_MAX: usize = 200;

/// A template to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTemplateBody {
    /// The page.
    pub account_id: String,
    /// As people call it; its name at Meta (`slug`) follows from it.
    #[schema(example = "Order shipped")]
    pub name: String,
    /// Such as `en_US`.
    #[schema(example = "en_US")]
    pub language: String,
    /// `UTILITY`, the only one of Messenger.
    pub category: Option<String>,
    /// HEADER, BODY, BUTTONS, as Meta takes them, with a sample of every placeholder.
    #[schema(value_type = Vec<Object>)]
    pub components: Vec<Value>,
    /// `POSITIONAL` (`{{1}}`), unless set, or `NAMED` (`{{order}}`).
    pub parameter_format: Option<String>,
}

/// Write a template
///
/// It is kept here and not submitted. A draft of the same name and language is replaced; what Meta has is not.
///
/// # Errors
/// 404, 409 `exists`, 422 naming the field.
#[utoipa::path(post, path = "/v1/templates", tag = "templates", request_body = NewTemplateBody,
    responses((status = 200, description = "It is there already", body = Template), (status = 201, description = "Written", body = Template),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    axum::extract::State(app): State,
    caller: Caller,
    Body(body): Body<NewTemplateBody>,
) -> Result<(StatusCode, Json<Template>), Problem> {
    check_text("name", &body.name, NAME_CHARS_MAX)?;
    let account = accounts::find(&app.pool, &caller, &body.account_id, None).await?;
    check_channel(account.channel)?;
    let data = TemplateSubmitData {
        category: body.category.unwrap_or_else(|| "UTILITY".to_owned()),
        components: body.components,
        language: body.language,
        name: slug(&body.name),
        parameter_format: body.parameter_format,
    };
    data.check()?;
    let page = account.id.clone().into();
    let id = template_id(account.channel, &page, &data.name, &data.language);
    if let Some(known) = rows::by_id(&app.pool, &id).await? {
        let same = known.components == Some(Value::Array(data.components.clone()))
            && known.parameter_format == data.parameter_format;
        match known.status.as_str() {
            _ if same && known.name == body.name => return Ok((StatusCode::OK, Json(known))),
            "DRAFT" | "FAILED" => {}
            status => {
                return Err(Problem::not_now(
                    "exists",
                    format!(
                        "the page has a template of this name and language, which is {status}: read `{id}`, or choose another name"
                    ),
                ));
            }
        }
    }
    let new = NewTemplate {
        id: &id,
        channel: account.channel,
        account_id: &account.id,
        name: &body.name,
        slug: &data.name,
        language: &data.language,
        category: &data.category,
        components: &data.components,
        parameter_format: data.parameter_format.as_deref(),
        created_by: &caller.name,
    };
    rows::write(&app.pool, &new).await?;
    find(&app, &caller, &id).await.map(|template| (StatusCode::CREATED, Json(template)))
}

/// Submit a template to Meta
///
/// # Errors
/// 404, 409 where it was made elsewhere, 422, 503.
#[utoipa::path(post, path = "/v1/templates/{id}/submit", tag = "templates", params(("id" = String, Path, description = "`tpl_…`"), WaitQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn submit(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<WaitQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let template = find(&app, &caller, &id).await?;
    let Some(Value::Array(components)) = template.components.clone() else {
        return Err(Problem::not_now(
            "made_elsewhere",
            "what it says is not known here: it was made at Meta",
        ));
    };
    let action = Action::TemplateSubmit(TemplateSubmitData {
        category: template.category.clone().unwrap_or_else(|| "UTILITY".to_owned()),
        components,
        language: template.language.clone(),
        name: template.slug.clone(),
        parameter_format: template.parameter_format.clone(),
    });
    ask(&app, &caller, template, key, action, wait).await
}

/// Read a template's status from Meta
///
/// # Errors
/// 404, 409, 503.
#[utoipa::path(post, path = "/v1/templates/{id}/refresh", tag = "templates", params(("id" = String, Path, description = "`tpl_…`"), WaitQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn refresh(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<WaitQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let template = find(&app, &caller, &id).await?;
    let action = Action::TemplateStatus(TemplateRef {
        language: template.language.clone(),
        name: template.slug.clone(),
    });
    ask(&app, &caller, template, key, action, wait).await
}

async fn ask(
    app: &App,
    caller: &Caller,
    template: Template,
    key: IdempotencyKey,
    action: Action,
    wait: Duration,
) -> Result<CommandState, Problem> {
    let new = NewCommand {
        caller,
        key: key.0,
        channel: template.channel,
        account: template.account_id.into(),
        contact: None,
        action,
    };
    app.command(new, wait).await
}
