//! ◆ Pure: the fields of `insights_refresh`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::error::{CommandError, not_empty};

/// What figures are of: `account`, `media` or `story`.
pub const INSIGHT_SCOPES: [&str; 3] = ["account", "media", "story"];
/// Metrics of one command at most.
const METRICS_MAX: usize = 40;
/// Longest name of a metric.
const METRIC_BYTES_MAX: usize = 64;

/// `insights_refresh`: reads figures from Graph now.
// Fields in the order of their names, as of every command.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InsightsData {
    /// The media or story; absent for the account.
    pub id: Option<String>,
    /// Names of metrics, as Meta has them. One that Meta has no more is refused by name, the others go on.
    pub metrics: Vec<String>,
    /// `day` or `lifetime`; each metric's own where absent.
    pub period: Option<String>,
    /// `account`, `media` or `story`.
    pub scope: String,
}

impl InsightsData {
    /// Checks the fields. Whether Meta has the metrics is judged by the worker.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        if !INSIGHT_SCOPES.contains(&self.scope.as_str()) {
            return Err(CommandError::invalid("data.scope", "use account, media or story"));
        }
        match (&self.id, self.scope.as_str()) {
            (None, "account") => {}
            (Some(_), "account") => {
                return Err(CommandError::invalid("data.id", "only with scope media or story"));
            }
            (None, _) => {
                return Err(CommandError::invalid("data.id", "missing: the media or story"));
            }
            (Some(id), _) => not_empty("data.id", id)?,
        }
        if self.metrics.is_empty() || METRICS_MAX < self.metrics.len() {
            let reason = format!("1 to {METRICS_MAX} names of metrics");
            return Err(CommandError::invalid("data.metrics", reason));
        }
        if !self.metrics.iter().all(|name| is_name(name)) {
            return Err(CommandError::invalid(
                "data.metrics",
                "a name has lower-case letters, digits and `_` only",
            ));
        }
        if self.period.as_ref().is_some_and(|period| !is_name(period)) {
            return Err(CommandError::invalid("data.period", "use day or lifetime"));
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= METRIC_BYTES_MAX && text.bytes().all(of_name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_cannot_be_asked_for_is_named() {
        let check = |data: Value, expected: &str| {
            let data: InsightsData = serde_json::from_value(data).unwrap();
            let said = data.check().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
        };
        check(json!({"scope": "account", "metrics": ["reach"]}), "");
        check(json!({"scope": "story", "id": "1", "metrics": ["reach"]}), "");
        check(json!({"scope": "page", "metrics": ["reach"]}), "data.scope");
        check(json!({"scope": "media", "metrics": ["reach"]}), "data.id");
        check(json!({"scope": "account", "id": "1", "metrics": ["reach"]}), "data.id");
        check(json!({"scope": "account", "metrics": []}), "data.metrics");
        check(json!({"scope": "account", "metrics": ["reach,views"]}), "data.metrics");
        check(json!({"scope": "account", "metrics": ["reach"], "period": "a b"}), "data.period");
    }
}
