//! ◆ Pure: compares two schemas as those see it who rely on the older one.
//!
//! What is published may gain fields and narrow; what is taken may gain fields that can be left out and widen; nothing else. Fields and words
//! stay in both, whatever sets of values would allow: somebody waits for them by name.

use serde_json::Value;

use crate::finding::{Findings, Rule};
use crate::view::{Alternative, Doc, beside, examples, type_of, unknown_keywords, words};

/// Who writes what the schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// We do: events, answers.
    Published,
    /// Others do: commands, requests.
    Taken,
}

/// The older and the newer document.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub old: Doc<'a>,
    pub new: Doc<'a>,
    pub way: Way,
}

/// The references that led to where a comparison is, older and newer.
type Seen = Vec<(String, String)>;

/// Names the keywords of a schema that the comparer has no rule for.
pub(crate) fn check_keywords(schema: &Value, at: &str, found: &mut Findings) {
    unknown_keywords(schema, at, &mut |at, name| {
        found.add(Rule::UnknownKeyword, at, format!("`{name}`"));
    });
}

impl Pair<'_> {
    /// Compares two schemas of the documents.
    pub(crate) fn compare(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        self.alternatives(old, new, at, &Seen::new(), found);
    }

    fn alternatives(&self, old: &Value, new: &Value, at: &str, seen: &Seen, found: &mut Findings) {
        let (olds, news) = (self.old.alternatives(old), self.new.alternatives(new));
        // Each that may come has to fit one of those that are expected.
        let (comes, expected) = match self.way {
            Way::Published => (&news, &olds),
            Way::Taken => (&olds, &news),
        };
        for one in comes {
            let fits = |other: &Alternative| {
                let (old, new) = match self.way {
                    Way::Published => (other, one),
                    Way::Taken => (one, other),
                };
                let mut inside = Findings::default();
                let mut seen = seen.clone();
                if let (Some(old), Some(new)) = (&old.name, &new.name) {
                    let names = (old.clone(), new.clone());
                    // A type inside itself is compared where it is met first.
                    if seen.contains(&names) {
                        return inside;
                    }
                    seen.push(names);
                }
                self.single(&old.schema, &new.schema, at, &seen, &mut inside);
                inside
            };
            let best = expected.iter().map(fits).min_by_key(weight);
            found.0.extend(best.map(|best| best.0).unwrap_or_default());
        }
    }

    /// Compares two schemas of one type each.
    fn single(&self, old: &Value, new: &Value, at: &str, seen: &Seen, found: &mut Findings) {
        let (old_type, new_type) = (type_of(old), type_of(new));
        if !self.type_fits(old_type.as_deref(), new_type.as_deref()) {
            let name =
                |kind: &Option<String>| kind.clone().unwrap_or_else(|| "anything".to_owned());
            let what = format!("{} is now {}", name(&old_type), name(&new_type));
            return found.add(Rule::TypeChanged, at, what);
        }
        // Whatever was taken is taken by what takes anything.
        if self.way == Way::Taken && new_type.is_none() {
            return;
        }
        self.constants(old, new, at, found);
        self.word_lists(old, new, at, found);
        self.bounds(old, new, at, found);
        self.formats(old, new, at, found);
        self.defaults(old, new, at, found);
        self.fields(old, new, at, seen, found);
        if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
            self.alternatives(old, new, &format!("{at}[]"), seen, found);
        } else if self.loses(old.get("items"), new.get("items")) {
            found.add(Rule::TypeChanged, &format!("{at}[]"), "what is in the list");
        }
    }

    /// Whether a constraint is lost where it has to stay, or is new where there was none.
    fn loses<T>(&self, old: Option<T>, new: Option<T>) -> bool {
        match self.way {
            Way::Published => old.is_some() && new.is_none(),
            Way::Taken => old.is_none() && new.is_some(),
        }
    }

    fn type_fits(&self, old: Option<&str>, new: Option<&str>) -> bool {
        let (narrow, wide) = match self.way {
            Way::Published => (new, old),
            Way::Taken => (old, new),
        };
        wide.is_none() || narrow == wide || (narrow, wide) == (Some("integer"), Some("number"))
    }

    fn constants(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        let (was, is) = (old.get("const"), new.get("const"));
        let closed_to = |schema: &Value, value: &Value| match words(schema) {
            Some(words) => value.as_str().is_some_and(|value| words.contains(value)),
            None => false,
        };
        let fits = match (was, is, self.way) {
            (Some(was), Some(is), _) => was == is,
            (Some(was), None, Way::Taken) => words(new).is_none() || closed_to(new, was),
            (None, Some(is), Way::Published) => words(old).is_none() || closed_to(old, is),
            (None, None, _) => true,
            _ => false,
        };
        if !fits {
            found.add(Rule::ConstChanged, at, format!("{was:?} is now {is:?}"));
        }
    }

    fn word_lists(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        if old.get("const").is_some() || new.get("const").is_some() {
            return;
        }
        let (was, is) = (words(old), words(new));
        let known = was.clone().unwrap_or_default();
        match (was, is, self.way) {
            (None, Some(_), Way::Taken) => found.add(Rule::WordGone, at, "the list is closed now"),
            (Some(_), None, Way::Published) => {
                found.add(Rule::WordAdded, at, "the list is open now");
            }
            (Some(was), Some(is), way) => {
                for gone in was.difference(&is) {
                    found.add(Rule::WordGone, at, format!("`{gone}`"));
                }
                for more in is.difference(&was).filter(|_| way == Way::Published) {
                    found.add(Rule::WordAdded, at, format!("`{more}`"));
                }
            }
            _ => {}
        }
        let now = words(new).unwrap_or_default();
        for gone in examples(old).difference(&examples(new)) {
            if !now.contains(gone) && !known.contains(gone) {
                found.add(Rule::WordGone, at, format!("`{gone}`"));
            }
        }
    }

    fn bounds(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        const LOWER: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
        const UPPER: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];
        let keywords =
            LOWER.map(|name| (name, 1.0)).into_iter().chain(UPPER.map(|name| (name, -1.0)));
        for (name, sign) in keywords {
            let bound = |schema: &Value| schema[name].as_f64().map(|bound| bound * sign);
            let (was, is) = (bound(old), bound(new));
            let worse = match (was, is, self.way) {
                (Some(was), Some(is), Way::Published) => is < was,
                (Some(was), Some(is), Way::Taken) => was < is,
                _ => self.loses(was, is),
            };
            if worse {
                found.add(
                    Rule::BoundChanged,
                    at,
                    format!("{name} {} is now {}", old[name], new[name]),
                );
            }
        }
    }

    fn formats(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        let (was, is) = (old["format"].as_str(), new["format"].as_str());
        let (narrow, wide) = match self.way {
            Way::Published => (is, was),
            Way::Taken => (was, is),
        };
        let smaller = [(Some("int32"), Some("int64")), (Some("float"), Some("double"))];
        if wide.is_some() && narrow != wide && !smaller.contains(&(narrow, wide)) {
            found.add(Rule::FormatChanged, at, format!("{was:?} is now {is:?}"));
        }
    }

    fn defaults(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        let (was, is) = (old.get("default"), new.get("default"));
        // A reader of events may learn what an absent field means; a writer of commands relied on what it meant.
        let gained = was.is_none() && self.way == Way::Published;
        if was != is && !gained {
            found.add(Rule::DefaultChanged, at, format!("{was:?} is now {is:?}"));
        }
    }

    fn fields(&self, old: &Value, new: &Value, at: &str, seen: &Seen, found: &mut Findings) {
        let required = |schema: &Value, name: &str| {
            let mut names = schema["required"].as_array().into_iter().flatten();
            names.any(|one| one == name)
        };
        let (was, is) = (beside(old), beside(new));
        for (name, field) in old["properties"].as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            match new["properties"].get(name) {
                None => found.add(Rule::FieldGone, &at, "gone"),
                Some(new_field) => {
                    self.alternatives(field, new_field, &at, seen, found);
                    match (self.way, required(old, name), required(new, name)) {
                        (Way::Published, true, false) => {
                            found.add(Rule::FieldOptional, &at, "may be absent now");
                        }
                        (Way::Taken, false, true) => {
                            found.add(Rule::FieldRequired, &at, "is required now");
                        }
                        _ => {}
                    }
                }
            }
        }
        for (name, field) in new["properties"].as_object().into_iter().flatten() {
            if old["properties"].get(name).is_some() {
                continue;
            }
            let at = format!("{at}.{name}");
            match self.way {
                Way::Taken if required(new, name) => {
                    found.add(Rule::FieldRequired, &at, "is new and required");
                }
                Way::Published if was == false => {
                    found.add(Rule::MapChanged, &at, "no other field was to come");
                }
                Way::Published if was.is_object() => {
                    self.alternatives(&was, field, &at, seen, found);
                }
                _ => {}
            }
        }
        self.map(&was, &is, &format!("{at}.*"), seen, found);
    }

    /// What stands beside the named fields.
    fn map(&self, was: &Value, is: &Value, at: &str, seen: &Seen, found: &mut Findings) {
        let (narrow, wide) = match self.way {
            Way::Published => (is, was),
            Way::Taken => (was, is),
        };
        match (narrow, wide) {
            (_, Value::Bool(true)) | (Value::Bool(false), _) => {}
            (Value::Object(_), Value::Object(_)) => self.alternatives(was, is, at, seen, found),
            _ => found.add(Rule::MapChanged, at, format!("{was} is now {is}")),
        }
    }
}

/// The smaller, the more alike two schemas are: another type is another thing.
fn weight(found: &Findings) -> usize {
    let heavy = |rule| if rule == Rule::TypeChanged { 100 } else { 1 };
    found.0.iter().map(|finding| heavy(finding.rule)).sum()
}
