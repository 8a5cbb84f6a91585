//! `POST /v1/templates/{id}/send`: sends an approved template to a person.

use schemas::command::{Action, TemplateParameter, TemplateSendData, body_placeholders};
use schemas::ids::may_be_contact;
use serde::Deserialize;
use utoipa::ToSchema;

use super::list::find;
use super::rows::Template;
use crate::app::State;
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand};
use crate::extract::{Body, Id, IdempotencyKey, Query, wait_of};
use crate::messages::send::WaitQuery;
use crate::problem::Problem;

/// Whom to send it, and what stands for its placeholders.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendTemplate {
    /// The person.
    pub contact_id: String,
    /// For the placeholders of the body, in their order.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// For the placeholder of the header.
    #[serde(default)]
    pub header: Vec<Parameter>,
}

/// What stands for a placeholder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// The placeholder, where placeholders have names.
    pub name: Option<String>,
    /// The text.
    pub text: String,
}

impl From<Parameter> for TemplateParameter {
    fn from(Parameter { name, text }: Parameter) -> Self {
        Self { name, text }
    }
}

/// Send a template
///
/// To a person who has written before; there is no window. The same key never sends twice.
///
/// # Errors
/// 404, 409 `template_not_approved` or `key_reused`, 422, 503: repeat with the same key.
#[utoipa::path(post, path = "/v1/templates/{id}/send", tag = "templates", request_body = SendTemplate,
    params(("id" = String, Path, description = "`tpl_…`"), WaitQuery,
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters of your own.")),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn send(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<WaitQuery>,
    key: IdempotencyKey,
    Body(body): Body<SendTemplate>,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let key = key.required()?;
    let template = find(&app, &caller, &id).await?;
    check(&template, &body)?;
    let data = TemplateSendData {
        caused_by: None,
        header: body.header.into_iter().map(Into::into).collect(),
        language: template.language.clone(),
        name: template.slug.clone(),
        parameters: body.parameters.into_iter().map(Into::into).collect(),
    };
    let new = NewCommand {
        caller: &caller,
        key: Some(key),
        channel: template.channel,
        account: template.account_id.into(),
        contact: Some(body.contact_id.into()),
        action: Action::TemplateSend(data),
    };
    app.command(new, wait).await
}

fn check(template: &Template, body: &SendTemplate) -> Result<(), Problem> {
    if !may_be_contact(&body.contact_id) {
        return Err(Problem::invalid("contact_id", "Meta's id of a person: 10 to 32 digits"));
    }
    if !template.approved {
        return Err(Problem::not_now(
            "template_not_approved",
            format!("it is {}: Meta sends approved templates only", template.status),
        ));
    }
    let wanted = template.components.as_ref().and_then(body_placeholders);
    match wanted {
        Some(wanted) if wanted.len() != body.parameters.len() => Err(Problem::invalid(
            "parameters",
            format!("the body has {} placeholders: {}", wanted.len(), wanted.join(", ")),
        )),
        _ => Ok(()),
    }
}
