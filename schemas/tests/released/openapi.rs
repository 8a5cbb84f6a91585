//! ◆ Pure: compares two descriptions of the api, route by route.

use serde_json::Value;

use crate::finding::{Findings, Rule};
use crate::schema::{Pair, Way, check_keywords};
use crate::view::Doc;

/// What a newer description breaks for those who rely on the older one.
pub(crate) fn compare(old: &Value, new: &Value) -> Findings {
    let mut found = Findings::default();
    for (name, schema) in new["components"]["schemas"].as_object().into_iter().flatten() {
        check_keywords(schema, name, &mut found);
    }
    let docs = Docs { old: Doc(old), new: Doc(new) };
    for (path, item) in old["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let at = format!("{method} {path}");
            match new["paths"][path].get(method) {
                None => found.add(Rule::OperationGone, &at, "gone"),
                Some(today) => docs.operation(operation, today, &at, &mut found),
            }
        }
    }
    found
}

struct Docs<'a> {
    old: Doc<'a>,
    new: Doc<'a>,
}

impl Docs<'_> {
    fn operation(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        if old["operationId"] != new["operationId"] {
            let what = format!("{} is now {}", old["operationId"], new["operationId"]);
            found.add(Rule::OperationRenamed, at, what);
        }
        self.security(old, new, at, found);
        // A route that answered `not_implemented` alone was there to be listed; nobody could rely on its form.
        if successes(old).next().is_none() {
            return;
        }
        self.parameters(old, new, at, found);
        self.body(old, new, at, found);
        self.answers(old, new, at, found);
    }

    fn security(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        let of = |operation: &Value, doc: Doc<'_>| {
            let own = operation.get("security").or_else(|| doc.0.get("security"));
            own.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (was, is) = (of(old, self.old), of(new, self.new));
        // Each way in stays, or everybody may come.
        let kept =
            if was.is_empty() { is.is_empty() } else { was.iter().all(|one| is.contains(one)) };
        if !kept && !is.is_empty() {
            found.add(Rule::SecurityChanged, at, format!("{was:?} is now {is:?}"));
        }
    }

    fn schema(&self, way: Way, (old, new): (&Value, &Value), at: &str, found: &mut Findings) {
        check_keywords(new, at, found);
        Pair { old: self.old, new: self.new, way }.compare(old, new, at, found);
    }

    fn parameters(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        let all =
            |operation: &Value| operation["parameters"].as_array().cloned().unwrap_or_default();
        let (was, is) = (all(old), all(new));
        let same = |a: &Value, b: &Value| a["in"] == b["in"] && a["name"] == b["name"];
        for parameter in &was {
            let at = format!("{at} {}", parameter["name"].as_str().unwrap_or_default());
            let Some(today) = is.iter().find(|one| same(one, parameter)) else {
                found.add(Rule::ParameterGone, &at, "gone");
                continue;
            };
            if parameter["required"] != true && today["required"] == true {
                found.add(Rule::ParameterRequired, &at, "is required now");
            }
            self.schema(Way::Taken, (&parameter["schema"], &today["schema"]), &at, found);
        }
        for parameter in is.iter().filter(|one| !was.iter().any(|old| same(old, one))) {
            if parameter["required"] == true {
                let at = format!("{at} {}", parameter["name"].as_str().unwrap_or_default());
                found.add(Rule::ParameterRequired, &at, "is new and required");
            }
        }
    }

    fn body(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        let at = format!("{at} body");
        let (was, is) = (old.get("requestBody"), new.get("requestBody"));
        let needed = |body: Option<&Value>| body.is_some_and(|body| body["required"] == true);
        if !needed(was) && needed(is) {
            found.add(Rule::BodyRequired, &at, "is required now");
        }
        match (was, is) {
            (Some(_), None) => found.add(Rule::BodyGone, &at, "gone"),
            (Some(was), Some(is)) => self.content(Way::Taken, was, is, &at, found),
            _ => {}
        }
    }

    fn answers(&self, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        for (status, answer) in old["responses"].as_object().into_iter().flatten() {
            let at = format!("{at} {status}");
            match new["responses"].get(status) {
                Some(today) => {
                    self.content(Way::Published, answer, today, &at, found);
                    for name in
                        answer["headers"].as_object().into_iter().flatten().map(|(name, _)| name)
                    {
                        if today["headers"].get(name).is_none() {
                            found.add(Rule::HeaderGone, &at, format!("`{name}`"));
                        }
                    }
                }
                None if is_success(status) => found.add(Rule::AnswerGone, &at, "gone"),
                None => {}
            }
        }
    }

    fn content(&self, way: Way, old: &Value, new: &Value, at: &str, found: &mut Findings) {
        for (kind, content) in old["content"].as_object().into_iter().flatten() {
            match new["content"].get(kind) {
                None => found.add(Rule::MediaTypeGone, at, format!("`{kind}`")),
                Some(today) => {
                    self.schema(way, (&content["schema"], &today["schema"]), at, found);
                }
            }
        }
    }
}

fn is_success(status: &str) -> bool {
    status.starts_with('2') || status.starts_with('3')
}

fn successes(operation: &Value) -> impl Iterator<Item = &String> {
    let statuses = operation["responses"].as_object().into_iter().flatten();
    statuses.map(|(status, _)| status).filter(|status| is_success(status))
}
