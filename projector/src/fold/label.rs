//! ◆ Pure: one row per label that a conversation has.

use schemas::{AccountId, Channel, ConversationId, Fact, Timestamp};

use super::row_fact::{RowFact, by_moment};

/// A row of `labels`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabelRow {
    /// The entity.
    pub(crate) id: String,
    /// The conversation.
    pub(crate) conversation_id: ConversationId,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// The label.
    pub(crate) name: String,
    /// Name of the API token that put it on.
    pub(crate) labelled_by: Option<String>,
    /// When.
    pub(crate) labelled_at: Timestamp,
}

/// The label, unless the last act took it off.
pub(crate) fn label_row(id: &str, facts: &[RowFact]) -> Option<LabelRow> {
    let (fact, statement) = by_moment(facts).pop()?;
    let Fact::ConversationLabelled(body) = &statement.fact else { return None };
    Some(LabelRow {
        id: id.to_owned(),
        conversation_id: statement.conversation_id()?,
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        name: body.label.clone(),
        labelled_by: body.by.clone(),
        labelled_at: fact.time,
    })
}

#[cfg(test)]
mod tests {
    use schemas::facts::ConversationLabel;
    use schemas::{Event, Via};

    use super::*;
    use crate::fold::fixture::event;
    use crate::fold::{Arrival, split};

    fn act(key: &str, seconds: i64, puts: bool, label: &str) -> Event {
        let body = ConversationLabel { label: label.to_owned(), by: Some("ann".to_owned()) };
        let kind = if puts { Fact::ConversationLabelled } else { Fact::ConversationUnlabelled };
        event(key, seconds, Via::Api, kind(body))
    }

    fn facts(events: &[Event]) -> Vec<RowFact> {
        let of = |event: &Event| match split(event.clone()) {
            Arrival::Fact { facts, .. } => facts,
            Arrival::Withdrawal { .. } => Vec::new(),
        };
        events.iter().flat_map(of).collect()
    }

    #[test]
    fn the_last_act_on_a_label_holds_and_each_label_is_for_itself() {
        let (on, off, again) =
            (act("1", 1, true, "vip"), act("2", 2, false, "vip"), act("3", 3, true, "vip"));
        let has = |events: &[Event]| label_row("lbl", &facts(events)).is_some();
        assert!(has(std::slice::from_ref(&on)));
        assert!(!has(&[off.clone(), on.clone()]));
        assert!(has(&[again, off.clone(), on]));
        let entity = |event: &Event| facts(std::slice::from_ref(event))[0].entity.clone();
        assert_eq!(entity(&off), entity(&act("5", 9, true, "vip")));
        assert_ne!(entity(&off), entity(&act("5", 9, true, "VIP")));
    }
}
