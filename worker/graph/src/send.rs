//! The Send API (docs/meta-platform.md 8.1).

use std::time::Duration;

use schemas::MessageId;
use serde_json::Value;

use super::client::{Call, Graph, node};
use super::error::GraphError;
use super::limits::Lane;
use super::reads::text_of;
use facts::accounts::Connected;

/// Meta accepted it; that is not yet delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendAnswer {
    /// The person; absent for `user_ref` sends.
    pub recipient_id: Option<String>,
    /// The mid of the message, equal to that of its echo; absent for sender actions.
    pub message_id: Option<MessageId>,
}

impl SendAnswer {
    /// Reads the answer. Self messages are answered with `id` alone.
    pub fn read(answer: &Value) -> Self {
        let message_id = text_of(answer.get("message_id")).or_else(|| text_of(answer.get("id")));
        Self {
            recipient_id: text_of(answer.get("recipient_id")),
            message_id: message_id.map(MessageId::new),
        }
    }
}

impl Graph {
    /// `POST /{page or me}/messages`, tried once. `body` holds `recipient` and what is sent; `kind` is `send`, `private_reply` or
    /// `sender_action`; `timeout` is cut to `GRAPH_TIMEOUT`.
    ///
    /// # Errors
    /// [`super::Class::Unknown`] whenever it may have been delivered.
    pub async fn send(
        &self,
        connected: &Connected,
        kind: &'static str,
        body: &Value,
        timeout: Duration,
    ) -> Result<SendAnswer, GraphError> {
        let call = Call::new(kind, Lane::Reply).within(timeout);
        let answer =
            self.post(connected, call, &[node(&connected.account), "messages"], &[], body).await?;
        Ok(SendAnswer::read(&answer))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_of_messages_actions_and_self_messages() {
        let sent = SendAnswer::read(&json!({"recipient_id": "52", "message_id": "m_1"}));
        assert_eq!(
            (sent.recipient_id.as_deref(), sent.message_id),
            (Some("52"), Some("m_1".into()))
        );
        assert_eq!(SendAnswer::read(&json!({"recipient_id": 52})).message_id, None);
        assert_eq!(SendAnswer::read(&json!({"id": "m_2"})).message_id, Some("m_2".into()));
    }
}
