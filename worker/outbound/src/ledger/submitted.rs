//! What a submission of a message template has led to.

use facts::templates::{self, FAILED, PENDING, Submitted, TemplateKey, UNKNOWN};
use runtime::waits;
use sqlx::PgConnection;

use super::commands::CommandRow;
use super::parts::PartRow;
use crate::payload::Payload;
use crate::state::CommandState;

/// Writes down what a submission has led to, in the transaction that ends it.
pub(crate) async fn concluded(
    conn: &mut PgConnection,
    command: &CommandRow,
    parts: &[PartRow],
    state: CommandState,
) -> sqlx::Result<()> {
    for part in parts {
        let Payload::TemplateSubmit { name, language, category, components, parameter_format } =
            &part.payload
        else {
            continue;
        };
        let answer = part.answer.as_ref().and_then(|answer| answer.get("result"));
        let text = |name: &str| answer.and_then(|answer| answer.get(name)?.as_str());
        let status = match state {
            CommandState::Sent => text("status").unwrap_or(PENDING),
            CommandState::Unknown => UNKNOWN,
            _ => FAILED,
        };
        let error = part.error.as_ref().map(|error| error.code.as_str());
        let submitted = Submitted {
            key: &TemplateKey {
                channel: command.channel,
                account_id: command.account_id.clone(),
                name: name.clone(),
                language: language.clone(),
            },
            category: text("category").unwrap_or(category),
            components,
            parameter_format: parameter_format.as_deref(),
            status,
            reason: text("reason").or(error.filter(|_| status == FAILED)),
            meta_template_id: text("id").or(part.message_id.as_deref()),
        };
        templates::submitted(conn, &submitted, waits::TEMPLATE_LOOK.get()).await?;
    }
    Ok(())
}
