//! Acts of people: each becomes an event, published by the api itself.

use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Origin, Timestamp, Via};

use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::projected::ACT_WAIT;
use crate::publish::key_or_unique;
use crate::requests::{Request, digest};

/// An act of a person on a conversation.
pub(crate) struct Act<'a> {
    pub caller: &'a Caller,
    /// The `Idempotency-Key`, where the caller sent one.
    pub key: Option<String>,
    pub channel: Channel,
    pub account: AccountId,
    pub contact: ContactId,
    pub time: Timestamp,
    pub fact: Fact,
}

impl App {
    /// Publishes an act and waits, at most 2 s, until it is projected. `false`: it is stored and will be projected.
    ///
    /// # Errors
    /// 409 when the key was used otherwise, 503 when NATS or Postgres is away.
    pub(crate) async fn act(&self, act: Act<'_>) -> Result<bool, Problem> {
        let Act { caller, key, channel, account, contact, time, fact } = act;
        let mut fields = fact.to_fields().map_err(|_| Problem::internal())?;
        // What the caller saw is no part of what was asked for.
        fields.remove("last_message_at");
        let asked = digest(&[
            fact.kind().as_str(),
            contact.as_str(),
            &serde_json::Value::Object(fields).to_string(),
        ]);
        // The contact is not part of it: one key is one request, whatever it is about.
        let id = EventId::derive(
            channel,
            &account,
            "api.act",
            &[&caller.name, &key_or_unique(key.as_deref())],
        );
        let mut event =
            Event::new(id, time, channel, account, Some(contact), Origin::of(Via::Api), fact);
        event.traceparent = runtime::telemetry::traceparent();
        let request = key.is_some().then(|| Request {
            id: event.id.as_str(),
            kind: "act",
            token: &caller.name,
            channel,
            account: &event.data.account_id,
            conversation: event.data.conversation_id.as_ref().map(AsRef::as_ref),
            digest: asked,
        });
        let Some(stored) = self.publish_once(request.as_ref(), &event).await? else {
            return Ok(true);
        };
        tracing::info!(event.id = %event.id, kind = %event.kind(), "Stored the act `{}`", event.id);
        Ok(self.projected.reach_within(stored.sequence, ACT_WAIT).await)
    }
}
