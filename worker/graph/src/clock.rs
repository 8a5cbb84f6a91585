//! Graph's clock, as its answers show it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap};

use schemas::Timestamp;

use super::host::Host;

/// How far the clocks of the hosts are from ours, by their latest answers.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<HashMap<Host, i64>>);

impl Clocks {
    /// Keeps what an answer says that was asked for at `asked` and came at `came`, by our clock.
    pub(super) fn learn(&self, host: Host, headers: &HeaderMap, asked: Timestamp, came: Timestamp) {
        if let Some(ahead) = ahead(headers, asked, came) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host, ahead);
        }
    }

    /// What [`Self::ahead`] returns, for every host that has answered.
    pub(super) fn all(&self) -> Vec<(Host, i64)> {
        let clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.iter().map(|(host, ahead)| (*host, *ahead)).collect()
    }

    /// Milliseconds that the host's clock is ahead of ours; negative where it is behind. `None` before its first answer with a date.
    pub(super) fn ahead(&self, host: Host) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&host).copied()
    }
}

/// The date of an answer has whole seconds, and was written at some time between question and answer: what lies within both is no
/// difference.
fn ahead(headers: &HeaderMap, asked: Timestamp, came: Timestamp) -> Option<i64> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    let (first, last) = (date.timestamp_millis(), date.timestamp_millis() + 999);
    let (asked, came) = (asked.as_millis(), came.as_millis());
    Some(if last < asked {
        last - asked
    } else if came < first {
        first - came
    } else {
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_question_and_answer_is_no_difference() {
        let at = |millis| Timestamp::from_millis(1_795_000_000_000 + millis);
        let headers = |seconds: i64| {
            let date = at(seconds * 1000).to_datetime().to_rfc2822().replace("+0000", "GMT");
            HeaderMap::from_iter([(DATE, date.parse().expect("a header"))])
        };
        let ahead = |seconds, asked, came| ahead(&headers(seconds), at(asked), at(came));
        assert_eq!(ahead(0, 100, 300), Some(0));
        assert_eq!(ahead(0, 1_500, 1_700), Some(-501));
        assert_eq!(ahead(600, 0, 2_000), Some(598_000));
        assert_eq!(ahead(-600, 0, 2_000), Some(-599_001));
        assert_eq!(super::ahead(&HeaderMap::new(), at(0), at(1)), None);
    }
}
