//! ◆ Pure: what a raw webhook said when it was read first, against what today's normaliser reads in it.

use std::collections::{BTreeMap, HashSet};

use schemas::event::Origin;
use schemas::facts::WithdrawReason;
use schemas::{EventId, Fact, Via};

use crate::output::Output;
use facts::{Draft, RecordedFact, ids};

/// A fact that its raw webhook does not give any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// The fact.
    pub fact: RecordedFact,
    /// What the same item gives now.
    pub superseded_by: Option<EventId>,
}

impl Gone {
    /// Its withdrawal.
    pub(super) fn withdrawal(&self) -> Draft {
        let fact = &self.fact;
        let reason = match self.superseded_by {
            Some(_) => WithdrawReason::Superseded,
            None => WithdrawReason::Vanished,
        };
        let mut draft = Draft::withdrawal(
            fact.channel,
            fact.account_id.clone(),
            fact.contact_id.clone(),
            fact.event_id.clone(),
            reason,
            self.superseded_by.clone(),
            fact.message_id.clone(),
            fact.time,
            Via::Webhook,
        );
        draft.event.data.origin = Origin {
            via: Via::Webhook,
            raw_stream_sequence: Some(fact.raw_seq),
            source_era: None,
            index: fact.index,
            revision: 0,
        };
        draft
    }
}

/// Every fact that an output is or may become.
pub(super) fn given(output: &Output) -> Vec<EventId> {
    match output {
        Output::Fact(draft) => vec![draft.event.id.clone()],
        Output::Senderless(item) => {
            let (channel, account, mid) =
                (item.channel, &item.account_id, item.message_id.as_str());
            let number = (item.num_edit > 0).then_some(item.num_edit);
            vec![
                ids::message(channel, account, mid),
                ids::unresolved(channel, account, mid),
                ids::edit(channel, account, mid, number, item.text.as_deref()),
            ]
        }
    }
}

/// Takes out what an account that is not ours to read any more (removed, or bound to another app) would say anew of items that were
/// facts once: its conversations stay. Returns how many items that were; their facts are not gone.
pub(super) fn keep_removed(outputs: &mut Vec<Output>, recorded: &mut Vec<RecordedFact>) -> u64 {
    let strange: HashSet<u32> = outputs.iter().filter_map(not_ours).collect();
    let kept: HashSet<u32> = recorded
        .iter()
        .filter(|fact| !fact.is_of_bytes())
        .filter_map(|fact| fact.index)
        .filter(|index| strange.contains(index))
        .collect();
    if kept.is_empty() {
        return 0;
    }
    outputs.retain(|output| not_ours(output).is_none_or(|index| !kept.contains(&index)));
    recorded.retain(|fact| fact.index.is_none_or(|index| !kept.contains(&index)));
    kept.len() as u64
}

/// The item, where an output says that its account is not ours to read.
fn not_ours(output: &Output) -> Option<u32> {
    let Output::Fact(draft) = output else { return None };
    match &draft.event.data.fact {
        Fact::WebhookUnrecognized(shape)
            if matches!(shape.reason.as_str(), "unknown_account" | "wrong_app") =>
        {
            draft.event.data.origin.index
        }
        _ => None,
    }
}

/// The recorded facts that today's outputs of the same raw webhook do not give, with what took their place.
pub(super) fn gone(recorded: &[RecordedFact], outputs: &[Output]) -> Vec<Gone> {
    let current: HashSet<EventId> = outputs.iter().flat_map(given).collect();
    let mut heirs: BTreeMap<u32, EventId> = BTreeMap::new();
    for output in outputs {
        if let Output::Fact(draft) = output
            && !matches!(draft.event.data.fact, Fact::ContactDiscovered(_))
            && let Some(index) = draft.event.data.origin.index
        {
            heirs.entry(index).or_insert_with(|| draft.event.id.clone());
        }
    }
    recorded
        .iter()
        .filter(|fact| !current.contains(&fact.event_id))
        .map(|fact| Gone {
            fact: fact.clone(),
            superseded_by: fact.index.and_then(|index| heirs.get(&index).cloned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::facts::{Message, WebhookShape};
    use schemas::{Channel, Event, Fact, Timestamp};

    use super::*;

    fn output(id: &str, index: u32, fact: Fact) -> Output {
        let origin = Origin {
            via: Via::Webhook,
            raw_stream_sequence: Some(1),
            source_era: None,
            index: Some(index),
            revision: 0,
        };
        Output::Fact(Draft::of(Event::new(
            EventId::from(id),
            Timestamp::EPOCH,
            Channel::Instagram,
            "1".into(),
            None,
            origin,
            fact,
        )))
    }

    fn message(id: &str, index: u32) -> Output {
        output(id, index, Fact::MessageReceived(Message::default()))
    }

    fn strange(id: &str, index: u32, reason: &str) -> Output {
        let shape = WebhookShape { reason: reason.to_owned(), ..WebhookShape::default() };
        output(id, index, Fact::WebhookUnrecognized(shape))
    }

    fn recorded(id: &str, kind: &str, index: u32) -> RecordedFact {
        RecordedFact {
            event_id: EventId::from(id),
            kind: kind.to_owned(),
            channel: Channel::Instagram,
            account_id: "1".into(),
            contact_id: None,
            message_id: None,
            time: Timestamp::EPOCH,
            raw_seq: 1,
            index: Some(index),
        }
    }

    #[test]
    fn what_is_read_anew_takes_the_place_of_what_nobody_could_read() {
        let was = [recorded("w", "webhook.unrecognized", 0), recorded("m2", "message.read", 1)];
        let found = gone(&was, &[message("m1", 0)]);
        let seen: Vec<_> = found
            .iter()
            .map(|gone| {
                (gone.fact.event_id.as_str(), gone.superseded_by.as_ref().map(EventId::as_str))
            })
            .collect();
        assert_eq!(seen, [("w", Some("m1")), ("m2", None)]);
        let Fact::FactWithdrawn(body) = found[1].withdrawal().event.data.fact else { panic!() };
        assert_eq!(body.reason, WithdrawReason::Vanished);
    }

    #[test]
    fn the_conversations_of_a_removed_account_stay() {
        let mut outputs = vec![strange("w", 0, "unknown_account"), strange("x", 1, "unknown_item")];
        let mut was =
            vec![recorded("m1", "message.received", 0), recorded("m2", "message.read", 1)];
        assert_eq!(keep_removed(&mut outputs, &mut was), 1);
        assert_eq!((outputs.len(), was.len()), (1, 1));
        assert_eq!(gone(&was, &outputs).len(), 1);
        // Of an account that never was ours it is news.
        let mut outputs = vec![strange("w", 0, "unknown_account")];
        assert_eq!(keep_removed(&mut outputs, &mut Vec::new()), 0);
        assert_eq!(outputs.len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_given_is_never_gone(now in prop::collection::vec((0_u8..9, 0_u32..4), 0..9), was in prop::collection::vec((0_u8..9, 0_u32..4), 0..9)) {
            let outputs: Vec<Output> = now.iter().map(|(id, index)| message(&id.to_string(), *index)).collect();
            let facts: Vec<RecordedFact> = was.iter().map(|(id, index)| recorded(&id.to_string(), "message.received", *index)).collect();
            for one in gone(&facts, &outputs) {
                prop_assert!(now.iter().all(|(id, _)| id.to_string() != one.fact.event_id.as_str()));
            }
            let left = facts.iter().filter(|fact| now.iter().all(|(id, _)| id.to_string() != fact.event_id.as_str())).count();
            prop_assert_eq!(gone(&facts, &outputs).len(), left);
        }
    }
}
