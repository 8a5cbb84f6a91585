//! ◆ Pure: the fields of `conversion_event`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;

use super::error::{CommandError, not_empty};
use super::personal::check_hashed;
use crate::ContactId;

/// An act inside the thread.
pub const BUSINESS_MESSAGING: &str = "business_messaging";
const ACTION_SOURCES: [&str; 9] = [
    BUSINESS_MESSAGING,
    "website",
    "app",
    "chat",
    "email",
    "phone_call",
    "physical_store",
    "system_generated",
    "other",
];
/// Seconds of the year 5138: what is above are milliseconds.
const SECONDS_MAX: i64 = 100_000_000_000;
/// The ids of a thread, in `user_data`.
const THREAD_IDS: [&str; 3] = ["page_scoped_user_id", "ig_sid", "ctwa_clid"];

/// `conversion_event`: one event of the Conversions API.
// Fields in the order of their names, as of every command.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversionData {
    /// `business_messaging` for what happened in the thread; else where it happened.
    pub action_source: String,
    /// The person: the ids of the thread and its last ad are joined.
    pub contact_id: Option<ContactId>,
    /// `currency`, `value`, … Purchase needs both.
    pub custom_data: Option<Map<String, Value>>,
    /// Meta's id of the dataset.
    pub dataset_id: String,
    /// One per event; the command's id where absent.
    pub event_id: Option<String>,
    /// `Purchase`, `LeadSubmitted`, …
    pub event_name: String,
    /// The page it happened on.
    pub event_source_url: Option<String>,
    /// When, in seconds since 1970; Meta takes the last seven days.
    pub event_time: i64,
    /// Shown under Test Events. The event counts all the same.
    pub test_event_code: Option<String>,
    /// Who. Personal fields are SHA-256 hashes here; in clear they are refused.
    #[serde(default)]
    pub user_data: Map<String, Value>,
}

impl ConversionData {
    /// Checks the fields.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field, without the value of a personal one.
    pub fn check(&self) -> Result<(), CommandError> {
        check_hashed(&self.user_data)?;
        if self.dataset_id.is_empty() || !self.dataset_id.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(CommandError::invalid("data.dataset_id", "digits: Meta's id of it"));
        }
        if !ACTION_SOURCES.contains(&self.action_source.as_str()) {
            let reason = format!("use one of {}", ACTION_SOURCES.join(", "));
            return Err(CommandError::invalid("data.action_source", reason));
        }
        not_empty("data.event_name", self.event_name.trim())?;
        if !(1..SECONDS_MAX).contains(&self.event_time) {
            return Err(CommandError::invalid("data.event_time", "seconds since 1970"));
        }
        if let Some(id) = &self.event_id {
            not_empty("data.event_id", id)?;
        }
        if let Some(contact) = &self.contact_id {
            not_empty("data.contact_id", contact.as_str())?;
        }
        if let Some(code) = &self.test_event_code {
            not_empty("data.test_event_code", code)?;
        }
        self.check_person()?;
        self.check_purchase()
    }

    fn check_person(&self) -> Result<(), CommandError> {
        let in_thread = THREAD_IDS.iter().any(|name| self.user_data.contains_key(*name));
        if self.contact_id.is_some() || in_thread {
            return Ok(());
        }
        if self.action_source == BUSINESS_MESSAGING {
            let reason = "missing: an event of a thread names the person, here or by the thread's ids in `user_data`";
            return Err(CommandError::invalid("data.contact_id", reason));
        }
        if self.user_data.is_empty() {
            return Err(CommandError::invalid("data.user_data", "missing: nobody is named"));
        }
        Ok(())
    }

    fn check_purchase(&self) -> Result<(), CommandError> {
        if self.event_name != "Purchase" {
            return Ok(());
        }
        let has = |name: &str| self.custom_data.as_ref().and_then(|data| data.get(name));
        if !has("currency").is_some_and(Value::is_string) {
            return Err(CommandError::invalid("data.custom_data.currency", "Purchase needs it"));
        }
        if !has("value").is_some_and(Value::is_number) {
            return Err(CommandError::invalid("data.custom_data.value", "Purchase needs a number"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(change: Value, expected: &str) {
        let mut data = json!({
            "action_source": "business_messaging", "contact_id": "7300000000000111", "dataset_id": "660000000000001",
            "event_name": "Purchase", "event_time": 1_794_999_000, "custom_data": {"currency": "EUR", "value": 49.9},
        });
        for (name, value) in change.as_object().unwrap() {
            data[name] = value.clone();
        }
        let data: ConversionData = serde_json::from_value(data).unwrap();
        let said = data.check().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }

    #[test]
    fn what_meta_would_refuse_is_named() {
        check(json!({}), "");
        check(json!({"event_name": "LeadSubmitted", "custom_data": null}), "");
        check(json!({"custom_data": null}), "data.custom_data.currency");
        check(json!({"custom_data": {"currency": "EUR", "value": "9"}}), "data.custom_data.value");
        check(json!({"event_time": 1_794_999_000_000_i64}), "data.event_time");
        check(json!({"action_source": "shop"}), "data.action_source");
        check(json!({"dataset_id": "../me"}), "data.dataset_id");
        check(json!({"contact_id": null}), "data.contact_id");
        check(json!({"contact_id": null, "user_data": {"ig_sid": "52"}}), "");
        check(json!({"contact_id": null, "action_source": "website"}), "data.user_data");
        check(json!({"user_data": {"em": "anna@example.com"}}), "data.user_data.em");
    }
}
