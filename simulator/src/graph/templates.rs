//! ◆ Pure: message templates of a page (docs/meta-platform-2.md 20): looked at slowly, listed by names that contain the one asked for.

use serde_json::{Value, json};

use super::ask::{After, Ask, Done};
use super::error::GraphError;
use super::reads::page;
use crate::ids;
use crate::model::Channel;
use crate::world::Template;

/// `POST /{page}/message_templates`.
pub(super) fn submit(ask: Ask<'_>) -> Done {
    match take(&ask) {
        Err(error) => Err(error).into(),
        Ok(template) => {
            let id = template.id.clone();
            let answer = json!({"id": id, "status": template.status, "category": "UTILITY"});
            ask.world.templates.insert(id.clone(), template);
            Done { answer: Ok(answer), created: Some(id), after: After::Nothing }
        }
    }
}

fn take(ask: &Ask<'_>) -> Result<Template, GraphError> {
    let node = ask.request.segment(0);
    if ask.account.channel != Channel::Messenger || !ask.names_account(node) {
        return Err(GraphError::unsupported(node, "post"));
    }
    let text = |name: &str| ask.request.text(name).unwrap_or_default();
    let (name, language) = (text("name"), text("language"));
    let components = ask.request.params.get("components").cloned().unwrap_or_default();
    let parts = components.as_array().cloned().unwrap_or_default();
    if name.is_empty() || language.is_empty() || parts.is_empty() || text("category") != "UTILITY" {
        return Err(GraphError::parameter(
            "The parameters name, language, category and components are required",
        ));
    }
    let buttons = parts.iter().flat_map(|part| part["buttons"].as_array().into_iter().flatten());
    if buttons.into_iter().any(|button| button["type"] == "QUICK_REPLY") {
        return Err(GraphError::template_refused("Fixture wording: a button type is not possible"));
    }
    let is_same = |one: &&Template| {
        one.account == ask.account && one.name == name && one.language == language
    };
    if ask.world.templates.values().any(|one| is_same(&one)) {
        return Err(GraphError::template_refused("A template of this name and language is there"));
    }
    let number = ask.world.templates.len().to_string();
    Ok(Template {
        id: format!(
            "77{}",
            ids::digits(ask.world.seed, &["template", &ask.account.id, &number], 13)
        ),
        account: ask.account.clone(),
        name,
        language,
        components,
        status: if ask.world.slow_templates { "PENDING" } else { "APPROVED" }.to_owned(),
        reason: None,
    })
}

/// `GET /{page}/message_templates`: `name` is contained.
pub(super) fn list(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let node = ask.request.segment(0);
    if ask.account.channel != Channel::Messenger || !ask.names_account(node) {
        return Err(GraphError::unsupported(node, "get"));
    }
    let name = ask.request.text("name").unwrap_or_default();
    let found: Vec<&Template> = ask
        .world
        .templates
        .values()
        .filter(|one| one.account == ask.account && one.name.contains(&name))
        .collect();
    page(ask, &found, |one| {
        Ok(json!({
            "id": one.id, "name": one.name, "language": one.language, "status": one.status, "category": "UTILITY",
            "rejected_reason": one.reason.as_deref().unwrap_or("NONE"),
        }))
    })
}

/// What a sent template says, as its echo shows it.
pub(super) fn rendered(ask: &Ask<'_>, wanted: &Value) -> Result<String, GraphError> {
    let refused = || GraphError::parameter("Invalid parameter: no such template");
    if ask.account.channel != Channel::Messenger {
        return Err(GraphError::parameter("Param messaging_type cannot be UTILITY here"));
    }
    let code = wanted["language"]["code"].as_str();
    let mut of_account = ask.world.templates.values().filter(|one| one.account == ask.account);
    let template = of_account
        .find(|one| wanted["name"] == one.name.as_str() && code == Some(one.language.as_str()))
        .filter(|one| one.status == "APPROVED")
        .ok_or_else(refused)?;
    let parts = template.components.as_array().into_iter().flatten();
    let body = parts.into_iter().find(|part| part["type"] == "BODY").ok_or_else(refused)?;
    let mut text = body["text"].as_str().unwrap_or_default().to_owned();
    let given = wanted["components"].as_array().into_iter().flatten();
    let given = given.into_iter().find(|part| part["type"] == "body");
    let given = given.and_then(|part| part["parameters"].as_array()).cloned().unwrap_or_default();
    for (at, parameter) in given.iter().enumerate() {
        let by_number = (at + 1).to_string();
        let name = parameter["parameter_name"].as_str().unwrap_or(&by_number);
        text = text
            .replace(&format!("{{{{{name}}}}}"), parameter["text"].as_str().unwrap_or_default());
    }
    if text.contains("{{") {
        return Err(GraphError::parameter(
            "Invalid parameter: number of parameters does not match",
        ));
    }
    Ok(text)
}
