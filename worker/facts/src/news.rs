//! `worker.news`: of every conversation the position of the last event by which a reply based on an earlier one is overtaken.

use std::collections::BTreeMap;

use schemas::command::Requester;
use schemas::facts::{PartState, Reply};
use schemas::{AccountId, Channel, ContactId, ConversationId, Event, Fact};
use sqlx::PgConnection;

use crate::published::Placed;

/// Whether this event is something that the author of an answer should have seen: the person acted, or somebody else answered. A later
/// reading of an event says of nothing new. Messages of the account are none here: whether they are our own is found out by comparing
/// echoes, and [`of_echo`] notes those that are not.
fn is_news(event: &Event) -> bool {
    let data = &event.data;
    if event.revision() > 0 {
        return false;
    }
    match &data.fact {
        Fact::MessageReceived(_) | Fact::PostbackReceived(_) => !data.is_self,
        Fact::MessageEdited(_) | Fact::MessageDeleted(_) => true,
        Fact::ReplySent(reply) | Fact::ReplyUnknown(reply) => is_of_person(reply),
        // Some of its parts were sent.
        Fact::ReplyFailed(reply) => {
            let went = |state| matches!(state, PartState::Sent | PartState::Unknown);
            is_of_person(reply) && reply.parts.iter().any(|part| went(part.state))
        }
        _ => false,
    }
}

fn is_of_person(reply: &Reply) -> bool {
    reply.requested_by.as_ref().is_some_and(|by| by.kind == Requester::Person)
}

/// Notes what was published. Belongs into the transaction that records it, before anything else of a conversation is written: rows in the
/// order of their ids.
pub(crate) async fn note<'a>(
    conn: &mut PgConnection,
    placed: impl Iterator<Item = &'a Placed>,
) -> sqlx::Result<()> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for Placed { planned, event_seq, .. } in placed {
        let event = &planned.draft.event;
        if let Some(conversation) = event.data.conversation_id.as_ref().filter(|_| is_news(event)) {
            let seq = last.entry(conversation.as_str()).or_default();
            *seq = (*seq).max(*event_seq);
        }
    }
    if last.is_empty() {
        return Ok(());
    }
    let seqs = last.values().map(|seq| i64::try_from(*seq).unwrap_or(i64::MAX));
    sqlx::query(
        "insert into worker.news as n (conversation_id, event_era, event_seq)
         select t.id, (select worker.current_era('INBOX_EVENTS')), t.seq
           from unnest($1::text[], $2::bigint[]) as t (id, seq)
         on conflict (conversation_id) do update set event_era = excluded.event_era, event_seq = excluded.event_seq
          where (excluded.event_era, excluded.event_seq) > (n.event_era, n.event_seq)",
    )
    .bind(last.keys().copied().collect::<Vec<_>>())
    .bind(seqs.collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
}

/// A message that Meta reports is none of ours: a person in Meta's own inbox, or another app, has answered.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn of_echo(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    contact_id: &ContactId,
    message_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.news as n (conversation_id, event_era, event_seq)
         select $4, f.event_era, min(f.event_seq) from worker.facts f
          where f.channel = $1 and f.account_id = $2 and f.message_id = $3 and f.kind = 'message.sent'
          group by f.event_era order by f.event_era desc limit 1
         on conflict (conversation_id) do update set event_era = excluded.event_era, event_seq = excluded.event_seq
          where (excluded.event_era, excluded.event_seq) > (n.event_era, n.event_seq)",
    )
    .bind(channel)
    .bind(account_id)
    .bind(message_id)
    .bind(ConversationId::of(channel, account_id, contact_id))
    .execute(conn)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::{EventId, Kind, Timestamp, Via};
    use serde_json::json;

    use super::*;

    fn event(kind: Kind, fields: serde_json::Value) -> Event {
        let serde_json::Value::Object(fields) = fields else { panic!("an object") };
        Event::new(
            EventId::from("e"),
            Timestamp::from_millis(1),
            Channel::Instagram,
            "1".into(),
            Some("5200000000000011".into()),
            Origin::of(Via::Webhook),
            Fact::from_fields(kind, fields).unwrap(),
        )
    }

    #[test]
    fn what_the_person_does_and_what_people_answer_is_news() {
        let message = json!({"message_id": "m1", "text": "hi"});
        for kind in [Kind::MessageReceived, Kind::MessageEdited, Kind::MessageDeleted] {
            assert!(is_news(&event(kind, message.clone())), "{kind}");
        }
        assert!(is_news(&event(Kind::PostbackReceived, json!({"title": "Yes"}))));
        let reply = |kind: Kind, by: &str, state: &str| {
            let parts = json!([{"n": 0, "state": state}]);
            let by = json!({"kind": by, "name": "x"});
            event(kind, json!({"reply_id": "r", "parts": parts, "attempts": 1, "requested_by": by}))
        };
        assert!(is_news(&reply(Kind::ReplySent, "person", "sent")));
        assert!(is_news(&reply(Kind::ReplyUnknown, "person", "unknown")));
        assert!(is_news(&reply(Kind::ReplyFailed, "person", "sent")));
        assert!(!is_news(&reply(Kind::ReplyFailed, "person", "failed")));
        assert!(!is_news(&reply(Kind::ReplySent, "automation", "sent")));
    }

    #[test]
    fn echoes_later_readings_and_marks_are_none() {
        let message = json!({"message_id": "m1", "text": "hi"});
        assert!(!is_news(&event(Kind::MessageSent, message.clone())));
        let mut again = event(Kind::MessageReceived, message.clone());
        again.data.origin.revision = 1;
        assert!(!is_news(&again));
        let mut own = event(Kind::MessageReceived, message);
        own.data.is_self = true;
        assert!(!is_news(&own));
        for kind in [Kind::MessageRead, Kind::ConversationRead, Kind::ConversationArchived] {
            assert!(!is_news(&event(kind, json!({}))), "{kind}");
        }
    }
}
