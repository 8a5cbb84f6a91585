//! ◆ Pure: compares two bundles, kind by kind.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::finding::{Findings, Rule};
use crate::schema::{Pair, Way, check_keywords};
use crate::view::Doc;

/// What a bundle is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// `events.v1.json`
    Events,
    /// `commands.v1.json`
    Commands,
}

impl Of {
    const fn way(self) -> Way {
        match self {
            Self::Events => Way::Published,
            Self::Commands => Way::Taken,
        }
    }

    /// The field that says which member something is.
    pub(crate) const fn name_of(self) -> &'static str {
        match self {
            Self::Events => "type",
            Self::Commands => "command",
        }
    }
}

/// The members of a bundle by the word that names them, as references.
pub(crate) fn members(bundle: &Value, of: Of) -> BTreeMap<String, Value> {
    let cases = bundle["oneOf"].as_array().into_iter().flatten();
    cases
        .filter_map(|case| {
            let name = &Doc(bundle).resolved(case).schema["properties"][of.name_of()]["const"];
            Some((name.as_str()?.to_owned(), case.clone()))
        })
        .collect()
}

/// What a newer bundle breaks for those who rely on the older one.
pub(crate) fn compare(old: &Value, new: &Value, of: Of) -> Findings {
    let mut found = Findings::default();
    for name in ["$schema", "$id", "title"] {
        if old[name] != new[name] {
            found.add(Rule::IdentityChanged, name, format!("{} is now {}", old[name], new[name]));
        }
    }
    check_keywords(new, "", &mut found);
    let pair = Pair { old: Doc(old), new: Doc(new), way: of.way() };
    let now = members(new, of);
    for (name, member) in members(old, of) {
        let Some(today) = now.get(&name) else {
            found.add(Rule::KindGone, &name, "gone");
            continue;
        };
        let title = |doc: Doc<'_>, member: &Value| doc.resolved(member).schema["title"].clone();
        let (was, is) = (title(pair.old, &member), title(pair.new, today));
        if was != is {
            found.add(Rule::IdentityChanged, &name, format!("{was} is now {is}"));
        }
        pair.compare(&member, today, &name, &mut found);
    }
    found
}
