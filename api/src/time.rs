//! Times as rows have them and as answers show them.

use chrono::{DateTime, Utc};
use schemas::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A point in time: from Postgres, on the wire RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, ToSchema)]
#[sqlx(transparent)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.123Z")]
pub(crate) struct Time(pub DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::from(self.0).serialize(serializer)
    }
}

/// A time as Postgres writes it in JSON, as the wire has it; other text stays.
pub(crate) fn millis(text: String) -> String {
    DateTime::parse_from_rfc3339(&text)
        .map(|time| Timestamp::from(time.to_utc()).to_string())
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_on_the_wire_have_milliseconds() {
        let time = Time(Timestamp::from_millis(1_795_000_200_007).to_datetime());
        assert_eq!(serde_json::to_value(time).unwrap(), "2026-11-18T11:10:00.007Z");
    }
}
