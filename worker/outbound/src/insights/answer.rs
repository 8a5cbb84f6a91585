//! ◆ Pure: what an answer of `…/insights` says (docs/meta-platform-2.md 18).

use graph::{Class, GraphError};
use serde_json::{Value, json};

use super::metrics::{Ask, Refused, Scope};

/// One metric with its figures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Captured {
    pub(super) metric: String,
    pub(super) period: Option<String>,
    /// A list: a series with end times, or one total.
    pub(super) values: Value,
}

/// What all requests of a command gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) captured: Vec<Captured>,
    /// Without figures. Missing is never 0.
    pub(super) empty: Vec<String>,
    pub(super) refused: Vec<Refused>,
    /// Meta shows no figures of a story with fewer than five viewers.
    pub(super) too_few_viewers: bool,
}

/// What follows from a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Fewer than five viewers: final for now, and no missing permission.
    TooFewViewers,
    /// One of them may be wrong: each on its own.
    OneByOne,
    /// This one is wrong.
    Refused,
    /// Nothing about metrics.
    Failed,
}

impl Found {
    /// Takes in the answer to a request.
    pub(super) fn add(&mut self, ask: &Ask, answer: &Value) {
        for name in &ask.metrics {
            let items = answer["data"].as_array().into_iter().flatten();
            let item = items.into_iter().find(|item| item["name"] == name.as_str());
            match item.and_then(values) {
                Some(values) => self.captured.push(Captured {
                    metric: name.clone(),
                    period: item
                        .and_then(|item| item["period"].as_str())
                        .or(ask.way.period)
                        .map(str::to_owned),
                    values,
                }),
                None => self.empty.push(name.clone()),
            }
        }
    }

    /// Takes in that Meta refused one metric.
    pub(super) fn refuse(&mut self, ask: &Ask, error: &GraphError) {
        self.refused.extend(ask.metrics.iter().map(|metric| Refused {
            metric: metric.clone(),
            reason: "Meta refused it for this object".to_owned(),
            code: error.code,
            ..Refused::default()
        }));
    }

    /// Nothing was asked for that Meta has.
    pub(super) fn is_refused(&self) -> bool {
        self.captured.is_empty() && self.empty.is_empty() && !self.too_few_viewers
    }

    /// As the outcome carries it.
    pub(super) fn result(&self) -> Value {
        let captured: Vec<&str> =
            self.captured.iter().map(|captured| captured.metric.as_str()).collect();
        let mut result = json!({ "captured": captured });
        if !self.empty.is_empty() {
            result["empty"] = json!(self.empty);
            result["note"] = json!(
                "empty: no figures yet, too few followers, or a missing permission: see `hookline accounts check`"
            );
        }
        if !self.refused.is_empty() {
            result["refused"] = json!(self.refused);
        }
        if self.too_few_viewers {
            result["too_few_viewers"] = json!(true);
        }
        result
    }
}

/// The figures of an item. A total may come beside values that say the same.
fn values(item: &Value) -> Option<Value> {
    let total = &item["total_value"];
    if total.get("value").is_some() || total.get("breakdowns").is_some() {
        return Some(json!([total]));
    }
    let values = item["values"].as_array().filter(|values| !values.is_empty())?;
    Some(Value::Array(values.clone()))
}

/// What follows from a request that failed.
pub(super) fn after_failure(scope: Scope, ask: &Ask, error: &GraphError) -> After {
    // The same code stands for a missing permission elsewhere; only Meta's words differ (docs/meta-platform-2.md 18).
    if scope == Scope::Story && error.code == Some(10) && error.subcode.is_none() {
        return After::TooFewViewers;
    }
    match error.class {
        Class::Invalid if 1 < ask.metrics.len() => After::OneByOne,
        Class::Invalid => After::Refused,
        _ => After::Failed,
    }
}

#[cfg(test)]
mod tests {
    use graph::Use;
    use schemas::Login;
    use schemas::command::InsightsData;

    use super::super::metrics::asks;
    use super::*;

    fn fixture(name: &str) -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/meta/graph2");
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn ask(scope: &str, name: &str) -> (Scope, Vec<Ask>, Value) {
        let fixture = fixture(name);
        let metrics = fixture["request"]["query"]["metric"].as_str().unwrap();
        let data = InsightsData {
            id: (scope != "account").then(|| "1".to_owned()),
            metrics: metrics.split(',').map(str::to_owned).collect(),
            period: None,
            scope: scope.to_owned(),
        };
        let scope = Scope::of(&data).unwrap();
        (scope, asks(&data, scope, Login::Facebook).asks, fixture["response"].clone())
    }

    fn found(scope: &str, name: &str) -> Found {
        let (_, asks, response) = ask(scope, name);
        let mut found = Found::default();
        asks.iter().for_each(|ask| found.add(ask, &response["body"]));
        found
    }

    fn failure(scope: &str, name: &str) -> (Scope, Vec<Ask>, GraphError) {
        let (scope, asks, response) = ask(scope, name);
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let body = response["body"].to_string();
        (scope, asks, GraphError::of_answer(status, body.as_bytes(), Use::Read).unwrap())
    }

    #[test]
    fn answers_of_the_fixtures_are_read() {
        let account = found("account", "insights-account-ok");
        assert_eq!(account.captured.len(), 4);
        assert_eq!(account.captured[0].values, json!([{"value": 1840}]));
        assert_eq!(account.captured[0].period.as_deref(), Some("day"));
        assert!(account.captured[3].values[0]["breakdowns"].is_array());
        let series = found("account", "insights-account-series");
        assert_eq!(series.captured[0].values[1]["value"], 265);
        let story = found("story", "insights-story-ok");
        assert_eq!((story.captured.len(), story.empty.len()), (4, 0));
        assert_eq!(found("media", "insights-media-reel-ok").captured.len(), 9);
    }

    #[test]
    fn an_empty_answer_is_no_zero_and_may_be_a_missing_permission() {
        let empty = found("account", "insights-account-empty");
        assert_eq!((empty.captured.len(), empty.empty.len()), (0, 1));
        assert!(!empty.is_refused());
        assert!(empty.result()["note"].as_str().unwrap().contains("permission"));
    }

    #[test]
    fn a_refused_metric_is_looked_for_and_a_story_with_few_viewers_is_no_permission() {
        let (scope, asks, error) = failure("media", "insights-media-metric-refused");
        assert_eq!(after_failure(scope, &asks[0], &error), After::OneByOne);
        let single = asks[0].single("reach");
        assert_eq!(after_failure(scope, &single, &error), After::Refused);
        let (scope, asks, error) = failure("story", "insights-story-too-few");
        assert_eq!(after_failure(scope, &asks[0], &error), After::TooFewViewers);
        assert_eq!(after_failure(Scope::Media, &asks[0], &error), After::Failed);
    }
}
