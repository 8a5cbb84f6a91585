//! ◆ Pure: a raw webhook without its erased items. All other bytes stay as they came, and all other items keep their numbers.

use std::collections::{BTreeMap, BTreeSet};

use schemas::meta::envelope::ERASED;
use schemas::meta::{items, json};
use schemas::{Event, EventId, Fact, ids};
use serde_json::Value;

use crate::output::{Normalized, Output};
use facts::erased::{Erased, person_rule};

/// What is left of a raw webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redaction {
    /// Nothing of it was erased.
    Unchanged,
    /// All of it was.
    Nothing,
    /// The body without what was erased.
    Body(Vec<u8>),
}

/// A person who an item that nobody can read names, by the rule about them.
pub(crate) type Named = BTreeMap<u32, Vec<EventId>>;

/// The rules about people whom items name that this version cannot read, by item.
pub(crate) fn named(body: &[u8], normalized: &Normalized) -> Named {
    let unread = |output: &Output| match output {
        Output::Fact(draft) if is_shape(&draft.event) => {
            Some((draft.event.data.origin.index?, draft.event.data.clone()))
        }
        _ => None,
    };
    let unread: BTreeMap<u32, _> = normalized.outputs.iter().filter_map(unread).collect();
    if unread.is_empty() {
        return Named::new();
    }
    let mut named = Named::new();
    for item in items(body).unwrap_or_default() {
        let (Some(data), Some(raw)) = (unread.get(&item.index), item.raw) else { continue };
        let mut people = BTreeSet::new();
        collect(&json::json(raw), &mut people);
        people.remove(data.account_id.as_str());
        let rules = people.iter().map(|one| person_rule(data.channel, &data.account_id, one));
        named.insert(item.index, rules.collect());
    }
    named
}

/// Every text of a value that may be the id of a person.
fn collect(value: &Value, people: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if ids::may_be_contact(text) => {
            people.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, people)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, people)),
        _ => {}
    }
}

fn is_shape(event: &Event) -> bool {
    matches!(event.data.fact, Fact::WebhookUnrecognized(_) | Fact::WebhookTest(_))
}

/// The items of which everything was erased. That a person was discovered in an item says nothing about it: that is withdrawn once, and
/// they may have come again.
pub(crate) fn erased_items(
    normalized: &Normalized,
    named: &Named,
    rules: &Erased,
) -> BTreeSet<u32> {
    let mut items: BTreeMap<u32, bool> = BTreeMap::new();
    for output in &normalized.outputs {
        let (index, is_erased) = match output {
            Output::Senderless(item) => (item.origin.index, rules.has_senderless(item)),
            Output::Fact(draft) if matches!(draft.event.data.fact, Fact::ContactDiscovered(_)) => {
                continue;
            }
            Output::Fact(draft) => {
                let event = &draft.event;
                let by_name = |index: u32| {
                    let people = named.get(&index).into_iter().flatten();
                    people.into_iter().any(|rule| rules.has_rule_at(rule, event.time))
                };
                let index = event.data.origin.index;
                let unread = is_shape(event) && index.is_some_and(by_name);
                (index, rules.has(event) || unread)
            }
        };
        if let Some(index) = index {
            let all = items.entry(index).or_insert(true);
            *all = *all && is_erased;
        }
    }
    items.into_iter().filter(|(_, all)| *all).map(|(index, _)| index).collect()
}

/// Takes items out of a body.
pub(crate) fn cut(body: &[u8], erased: &BTreeSet<u32>) -> Redaction {
    let all = items(body).unwrap_or_default();
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut left = false;
    for item in &all {
        match item.raw {
            Some(raw) if raw.get() == ERASED => {}
            Some(raw) if erased.contains(&item.index) => ranges.extend(range(body, raw.get())),
            // The note that fields have changed is no item of its own where it has no text of its own.
            _ => left = true,
        }
    }
    if ranges.is_empty() {
        return Redaction::Unchanged;
    }
    if !left {
        return Redaction::Nothing;
    }
    ranges.sort_unstable();
    let mut cut = Vec::with_capacity(body.len());
    let mut from = 0;
    for (start, end) in ranges {
        // An item within one that was taken out already.
        if start < from {
            continue;
        }
        cut.extend_from_slice(&body[from..start]);
        cut.extend_from_slice(ERASED.as_bytes());
        from = end;
    }
    cut.extend_from_slice(&body[from..]);
    Redaction::Body(cut)
}

/// Where in the body its part `text` stands.
fn range(body: &[u8], text: &str) -> Option<(usize, usize)> {
    let start = text.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let end = start.checked_add(text.len())?;
    (body.get(start..end)? == text.as_bytes()).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::meta::Item;
    use serde_json::json;

    use super::*;

    /// Whether an item stands where another was erased.
    fn is_erased(item: &Item<'_>) -> bool {
        item.raw.is_some_and(|raw| raw.get() == ERASED)
    }

    fn left(body: &Value, erased: &[u32]) -> Redaction {
        cut(body.to_string().as_bytes(), &erased.iter().copied().collect())
    }

    #[test]
    fn an_item_is_taken_out_wherever_it_stands() {
        let body = json!({"object": "page", "entry": [
            {"id": "1", "time": 2, "messaging": [{"a": "one"}, {"b": "two"}], "standby": {"c": "three"}},
            {"id": "1", "changes": [{"field": "feed", "value": {"d": "four"}}], "field": "mention", "value": {"e": "five"}},
        ]});
        assert_eq!(left(&body, &[]), Redaction::Unchanged);
        assert_eq!(left(&body, &[0, 1, 2, 3, 4]), Redaction::Nothing);
        for (index, word) in ["one", "two", "three", "four", "five"].iter().enumerate() {
            let Redaction::Body(cut) = left(&body, &[u32::try_from(index).unwrap()]) else {
                panic!("{word}")
            };
            let text = String::from_utf8(cut.clone()).unwrap();
            assert!(!text.contains(word), "{text}");
            let (before, after) = (body.to_string(), items(&cut).unwrap());
            let before = items(before.as_bytes()).unwrap().len();
            assert_eq!(after.len(), before, "the others keep their numbers: {text}");
            assert!(is_erased(&after[index]), "{text}");
        }
    }

    #[test]
    fn a_body_that_is_redacted_twice_is_gone_with_its_last_item() {
        let body =
            json!({"object": "page", "entry": [{"id": "1", "messaging": [{"a": 1}, {"b": 2}]}]});
        let Redaction::Body(once) = left(&body, &[0]) else { panic!("something is left") };
        assert_eq!(cut(&once, &[0].into()), Redaction::Unchanged);
        assert_eq!(cut(&once, &[1].into()), Redaction::Nothing);
    }

    proptest! {
        #[test]
        fn the_others_stay_byte_by_byte_and_in_order(
            texts in prop::collection::vec("[a-z\\\\\"ä😊 {}\\[\\],:]{0,12}", 1..8),
            spaces in "[ \n\t]{0,2}",
            erased in prop::collection::btree_set(0_u32..8, 0..8),
            wrapped in any::<bool>(),
        ) {
            let all: Vec<String> = texts.iter().map(|text| json!({ "text": text }).to_string()).collect();
            let inner = all.join(&format!("{spaces},{spaces}"));
            let mut body = format!("{{{spaces}\"object\":\"page\",\"entry\":[{{\"id\":\"1\",\"messaging\":[{inner}]}}]}}");
            if wrapped {
                body = format!("[{spaces}{body}]");
            }
            let gone = erased.iter().filter(|index| (**index as usize) < all.len()).count();
            match cut(body.as_bytes(), &erased) {
                Redaction::Unchanged => prop_assert_eq!(gone, 0),
                Redaction::Nothing => prop_assert_eq!(gone, all.len()),
                Redaction::Body(cut) => {
                    let found = items(&cut).unwrap();
                    prop_assert_eq!(found.len(), all.len());
                    for (item, text) in found.iter().zip(&all) {
                        match erased.contains(&item.index) {
                            true => prop_assert!(is_erased(item)),
                            false => prop_assert_eq!(item.raw.unwrap().get(), text),
                        }
                    }
                }
            }
        }
    }
}
