//! ◆ Pure: commands about message templates as parts.

use facts::follow_up::content::{self, Content};
use schemas::command::{TemplateParameter, TemplateSendData, TemplateSubmitData};
use schemas::{AccountId, Channel};
use serde_json::{Value, json};

use crate::payload::Payload;

/// Lane, payload, content and peer of its one part.
type Planned = (String, Payload, Content, String);

/// `template_submit`: read back by its name.
pub(super) fn submit(channel: Channel, account: &AccountId, data: TemplateSubmitData) -> Planned {
    let lane = lane(channel, account, &data.name, &data.language);
    let content = content::of_attachments(["template_submit", data.name.as_str()]);
    let peer = data.name.clone();
    let payload = Payload::TemplateSubmit {
        name: data.name,
        language: data.language,
        category: data.category,
        components: data.components.into(),
        parameter_format: data.parameter_format,
    };
    (lane, payload, content, peer)
}

/// `template_send`. What it will say only Meta knows: a message of the thread is never taken for it by its words.
pub(super) fn send(lane: String, contact: String, data: TemplateSendData) -> Planned {
    let content = content::of_attachments(["template_send", data.name.as_str()]);
    let payload = Payload::TemplateSend { template: template(data) };
    (lane, payload, content, contact)
}

/// Commands about one template, one after the other.
pub(super) fn lane(channel: Channel, account: &AccountId, name: &str, language: &str) -> String {
    format!("template:{channel}/{account}/{name}/{language}")
}

/// A template with its parameters as the Send API takes it.
fn template(data: TemplateSendData) -> Value {
    let parameters = |given: Vec<TemplateParameter>| -> Value {
        let one = |TemplateParameter { name, text }: TemplateParameter| {
            let mut parameter = json!({ "type": "text", "text": text });
            if let Some(name) = name {
                parameter["parameter_name"] = name.into();
            }
            parameter
        };
        given.into_iter().map(one).collect()
    };
    let mut components = Vec::new();
    if !data.header.is_empty() {
        components.push(json!({ "type": "header", "parameters": parameters(data.header) }));
    }
    if !data.parameters.is_empty() {
        components.push(json!({ "type": "body", "parameters": parameters(data.parameters) }));
    }
    json!({ "name": data.name, "language": { "code": data.language }, "components": components })
}
