//! ◆ Pure: the envelope of a body: entries, and the items in them, in whichever of Meta's forms (docs/meta-platform.md 4).

use serde_json::value::RawValue;

use super::json::{self, Node, cut};
use crate::{Channel, Timestamp};

/// What `object` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// `instagram`
    Instagram,
    /// `page`
    Page,
    /// Something else, cut to 64 characters; empty when absent.
    Other(String),
}

impl Object {
    /// The channel it stands for.
    pub const fn channel(&self) -> Option<Channel> {
        match self {
            Self::Instagram => Some(Channel::Instagram),
            Self::Page => Some(Channel::Messenger),
            Self::Other(_) => None,
        }
    }

    /// As Meta wrote it; `None` when absent.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Instagram => Some("instagram"),
            Self::Page => Some("page"),
            Self::Other(name) => Some(name.as_str()).filter(|name| !name.is_empty()),
        }
    }
}

/// Where in its entry an item stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `messaging[]`
    Messaging,
    /// `standby[]`: another app owns the conversation.
    Standby,
    /// `changes[]`, or `field` and `value` right in the entry; the name of the field.
    Change(String),
    /// Something that is no item: why.
    Problem(Problem),
}

/// What is wrong with a part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Not an object where one must be, or no `entry`.
    BadShape,
    /// An entry says only that fields have changed: "include values" is off (docs/meta-platform.md 3.3).
    ChangedFields,
    /// An array or object of this name in an entry, which this version does not know.
    UnknownKey(String),
    /// The body holds more items than any of Meta's; this one and those behind it are not read.
    TooMany,
}

/// One item of a body.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// Its number over the whole body, from 0.
    pub index: u32,
    /// What `object` says.
    pub object: Object,
    /// The `entry[].id`.
    pub entry_id: Option<String>,
    /// The `entry[].time`: when Meta sent it.
    pub entry_time: Option<Timestamp>,
    /// Where it stands.
    pub place: Place,
    /// The item, or the `value` of a change; `None` when that is no object.
    pub node: Option<Node<'a>>,
    /// Its text within the body; `None` where it has none of its own.
    pub raw: Option<&'a RawValue>,
}

/// Stands in a redacted body where an erased item was, so that the others keep their numbers.
pub const ERASED: &str = r#"{"hookline":"erased"}"#;

/// Items that are read of one body, ten times what Meta puts into one (docs/meta-platform.md 3.2): a body of a few bytes per item
/// must not fill the memory.
const ITEMS_MAX: usize = 10_000;

/// Keys of an entry that are no items.
const ENTRY_KEYS: [&str; 9] =
    ["id", "time", "uid", "messaging", "standby", "changes", "field", "value", "changed_fields"];

/// All items of a body, in order; `None` when the body is not JSON in UTF-8. A body in `[ ]` counts as unwrapped.
pub fn items(body: &[u8]) -> Option<Vec<Item<'_>>> {
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    let mut reader = Reader { items: Vec::new() };
    if raw.get().starts_with('[') {
        for webhook in json::list(raw) {
            reader.webhook(webhook);
        }
    } else {
        reader.webhook(raw);
    }
    Some(reader.items)
}

struct Reader<'a> {
    items: Vec<Item<'a>>,
}

/// What the items of one entry share.
struct Entry {
    object: Object,
    id: Option<String>,
    time: Option<Timestamp>,
}

impl<'a> Reader<'a> {
    fn webhook(&mut self, raw: &'a RawValue) {
        let Some(webhook) = Node::parse(raw) else {
            let nothing = Entry { object: Object::Other(String::new()), id: None, time: None };
            return self.push(&nothing, Place::Problem(Problem::BadShape), None, Some(raw));
        };
        let object = match webhook.text("object").as_deref() {
            Some("instagram") => Object::Instagram,
            Some("page") => Object::Page,
            other => Object::Other(other.map(cut).unwrap_or_default()),
        };
        let entries = match webhook.raw("entry") {
            Some(raw) if raw.get().starts_with(['[', '{']) => json::list(raw),
            _ => {
                let nothing = Entry { object, id: None, time: None };
                return self.push(
                    &nothing,
                    Place::Problem(Problem::BadShape),
                    Some(webhook),
                    Some(raw),
                );
            }
        };
        for raw in entries {
            match Node::parse(raw) {
                Some(node) => self.entry(&object, &node),
                None => {
                    let nothing = Entry { object: object.clone(), id: None, time: None };
                    self.push(&nothing, Place::Problem(Problem::BadShape), None, Some(raw));
                }
            }
        }
    }

    fn entry(&mut self, object: &Object, node: &Node<'a>) {
        let entry = Entry { object: object.clone(), id: node.id("id"), time: node.time("time") };
        for key in ["messaging", "standby", "changes"] {
            if let Some(raw) = node.raw(key).filter(|raw| !raw.get().starts_with(['[', '{'])) {
                self.push(&entry, Place::Problem(Problem::BadShape), None, Some(raw));
            }
        }
        for raw in node.list("messaging") {
            self.push(&entry, Place::Messaging, Node::parse(raw), Some(raw));
        }
        for raw in node.list("standby") {
            self.push(&entry, Place::Standby, Node::parse(raw), Some(raw));
        }
        for raw in node.list("changes") {
            match Node::parse(raw) {
                Some(change) => self.change(&entry, &change),
                None => self.push(&entry, Place::Problem(Problem::BadShape), None, Some(raw)),
            }
        }
        if node.raw("field").is_some() {
            self.change(&entry, node);
        }
        if node.raw("changed_fields").is_some() {
            self.push(&entry, Place::Problem(Problem::ChangedFields), Some(node.clone()), None);
        }
        for key in node.keys().filter(|key| !ENTRY_KEYS.contains(key) && *key != "hop_context") {
            // Plain values beside the items are harmless; a list or object may be items of a new form.
            if let Some(raw) = node.raw(key).filter(|raw| raw.get().starts_with(['[', '{'])) {
                let place = Place::Problem(Problem::UnknownKey(cut(key)));
                self.push(&entry, place, Node::parse(raw), Some(raw));
            }
        }
    }

    fn change(&mut self, entry: &Entry, change: &Node<'a>) {
        let field = change.text("field").map(|field| cut(&field)).unwrap_or_default();
        self.push(entry, Place::Change(field), change.node("value"), change.raw("value"));
    }

    fn push(
        &mut self,
        entry: &Entry,
        place: Place,
        node: Option<Node<'a>>,
        raw: Option<&'a RawValue>,
    ) {
        let (place, node, raw) = match self.items.len() {
            0..ITEMS_MAX => (place, node, raw),
            ITEMS_MAX => (Place::Problem(Problem::TooMany), None, None),
            _ => return,
        };
        let index = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(Item {
            index,
            object: entry.object.clone(),
            entry_id: entry.id.clone(),
            entry_time: entry.time,
            place,
            node,
            raw,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(body: &str) -> Vec<Place> {
        items(body.as_bytes()).unwrap().into_iter().map(|item| item.place).collect()
    }

    #[test]
    fn every_form_of_an_entry_is_found() {
        let body = r#"{"object":"page","entry":[{"id":1,"time":2,"messaging":[{},{}],"standby":[{}],
            "changes":[{"field":"feed","value":{}}],"field":"mention","value":{}}]}"#;
        let feed = Place::Change("feed".to_owned());
        let mention = Place::Change("mention".to_owned());
        assert_eq!(
            places(body),
            [Place::Messaging, Place::Messaging, Place::Standby, feed, mention]
        );
        let wrapped = format!("[{body},{body}]");
        assert_eq!(items(wrapped.as_bytes()).unwrap().last().unwrap().index, 9);
    }

    #[test]
    fn a_bad_part_does_not_lose_its_neighbours() {
        let body = r#"{"object":"page","entry":[null,7,{"id":"1","messaging":[null,{"a":1},"x"],"changes":[3,{"field":"f"}]}]}"#;
        let bad = Place::Problem(Problem::BadShape);
        let expected = [
            bad.clone(),
            bad.clone(),
            Place::Messaging,
            Place::Messaging,
            Place::Messaging,
            bad,
            Place::Change("f".to_owned()),
        ];
        assert_eq!(places(body), expected);
        let items = items(body.as_bytes()).unwrap();
        assert_eq!(items.iter().filter(|item| item.node.is_some()).count(), 1);
    }

    #[test]
    fn empty_bodies_hold_nothing_and_broken_ones_are_distinguished() {
        assert!(places(r#"{"object":"instagram","entry":[]}"#).is_empty());
        assert!(
            places(r#"{"object":"page","entry":[{"id":"1","time":1},{"id":"1","messaging":[]}]}"#)
                .is_empty()
        );
        assert_eq!(places(r#"{"object":"page"}"#), [Place::Problem(Problem::BadShape)]);
        assert_eq!(places("3"), [Place::Problem(Problem::BadShape)]);
        assert!(items(b"{\"object\":").is_none());
        assert!(items(b"\xff\xfe").is_none());
    }

    #[test]
    fn a_flood_of_items_is_cut_and_said_once() {
        let nulls = vec!["null"; ITEMS_MAX + 5].join(",");
        let body = format!(r#"{{"object":"page","entry":[{{"id":"1","messaging":[{nulls}]}}]}}"#);
        let places = places(&body);
        assert_eq!(places.len(), ITEMS_MAX + 1);
        assert_eq!(places.last(), Some(&Place::Problem(Problem::TooMany)));
    }

    #[test]
    fn values_left_out_and_new_lists_are_noticed() {
        let body = r#"{"object":"page","entry":[{"id":"1","changed_fields":["feed"],"hop_context":[{}],"calls":[{}],"n":1}]}"#;
        let expected = [
            Place::Problem(Problem::ChangedFields),
            Place::Problem(Problem::UnknownKey("calls".to_owned())),
        ];
        assert_eq!(places(body), expected);
    }
}
