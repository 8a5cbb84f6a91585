//! ◆ Pure: points in time with millisecond precision, as the wire carries them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, UTC, truncated to milliseconds. On the wire: RFC 3339 with exactly three fractional digits and `Z`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// The latest time that can be written on the wire (year 9999).
    pub const MAX: Self = Self(253_402_300_799_999);
    /// The earliest time that can be written on the wire (year 1).
    pub const MIN: Self = Self(-62_135_596_800_000);

    /// From nanoseconds since the Unix epoch, as the broker reports them; what is beyond milliseconds is cut off.
    pub fn from_nanos(nanos: i128) -> Self {
        Self::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(0))
    }

    /// From milliseconds since the Unix epoch; values outside the years 1–9999 are clamped to that range.
    pub const fn from_millis(millis: i64) -> Self {
        if millis > Self::MAX.0 {
            Self::MAX
        } else if millis < Self::MIN.0 {
            Self::MIN
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// As `chrono` knows it, for Postgres.
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// This time plus `duration` (saturating, milliseconds).
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self::from_millis(
            self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This time minus `duration` (saturating, milliseconds).
    pub fn minus(self, duration: std::time::Duration) -> Self {
        Self::from_millis(
            self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(
            u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0),
        )
    }

    /// Parses what Meta writes for a time: a number or numeric string (below 1e11 seconds, else milliseconds), or ISO 8601
    /// with an offset with or without colon (docs/meta-platform.md 4). `None` when it is none of these.
    pub fn parse_meta(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return Self::from_meta_number(number);
        }
        if let Ok(number) = text.parse::<f64>()
            && (1.0..1e15).contains(&number)
        {
            let millis = if number < 1e11 { number * 1000.0 } else { number };
            #[allow(clippy::cast_possible_truncation)] // below 1e15, checked above
            return Some(Self::from_millis(millis as i64));
        }
        DateTime::parse_from_rfc3339(text)
            .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
            .ok()
            .map(|time| Self::from(time.with_timezone(&Utc)))
    }

    /// A bare number as Meta writes it: below 1e11 seconds, else milliseconds (docs/meta-platform.md 4). Zero and
    /// negative numbers are no time.
    pub fn from_meta_number(number: i64) -> Option<Self> {
        match number {
            ..=0 => None,
            1..100_000_000_000 => Some(Self::from_millis(number * 1000)),
            _ => Some(Self::from_millis(number)),
        }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        Self::from(DateTime::<Utc>::from(time))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no RFC 3339 time such as 2026-11-21T10:00:00.123Z")]
pub struct NotATime(String);

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self::from(time.with_timezone(&Utc)))
            .map_err(|_| NotATime(text.chars().take(64).collect()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_times_in_every_spelling() {
        let expected = Some(Timestamp::from_millis(1_795_000_200_000));
        assert_eq!(Timestamp::parse_meta("1795000200"), expected);
        assert_eq!(Timestamp::parse_meta("1795000200000"), expected);
        assert_eq!(Timestamp::parse_meta("1795000200.0"), expected);
        assert_eq!(Timestamp::parse_meta("2026-11-18T11:10:00+0000"), expected);
        assert_eq!(Timestamp::parse_meta("2026-11-18T11:10:00+00:00"), expected);
        assert_eq!(Timestamp::parse_meta("0"), None);
        assert_eq!(Timestamp::parse_meta("yesterday"), None);
    }

    #[test]
    fn the_wire_form_has_milliseconds_and_comes_back() {
        let time = Timestamp::from_millis(1_795_000_200_007);
        assert_eq!(time.to_string(), "2026-11-18T11:10:00.007Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
    }
}
