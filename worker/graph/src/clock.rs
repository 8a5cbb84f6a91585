//! Graph's clock, as its answers show it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap};
use runtime::steady::Steady;
use schemas::Timestamp;

use super::host::Host;

/// The date of an answer has whole seconds.
const SECOND: Duration = Duration::from_millis(999);

/// The clocks of the hosts, by their latest answers.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<HashMap<Host, HostClock>>);

impl Clocks {
    /// Keeps what an answer says that was asked for at `asked` and came at `came`.
    pub(super) fn learn(&self, host: Host, headers: &HeaderMap, asked: Steady, came: Steady) {
        if let Some(clock) = HostClock::read(headers, asked, came) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host, clock);
        }
    }

    /// What [`Self::of`] returns, for every host that has answered.
    pub(super) fn all(&self) -> Vec<(Host, HostClock)> {
        let clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.iter().map(|(host, clock)| (*host, *clock)).collect()
    }

    /// The clock of a host; `None` before its first answer with a date.
    pub(super) fn of(&self, host: Host) -> Option<HostClock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&host).copied()
    }
}

/// The clock of one of Graph's hosts. It goes on from its latest answer by a clock that nobody sets: the wall clock of this machine, which
/// may be wrong and may be set between question and answer, plays no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostClock {
    /// It was at least that late when the answer came.
    date: Timestamp,
    /// It may have been so much later: the date was written at some time between question and answer.
    slack: Duration,
    came: Steady,
}

impl HostClock {
    fn read(headers: &HeaderMap, asked: Steady, came: Steady) -> Option<Self> {
        let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
        let date = Timestamp::from_millis(date.timestamp_millis());
        Some(Self { date, slack: SECOND + came.since(asked), came })
    }

    /// Milliseconds that it is ahead of another clock, which was asked at `asked` and had said `now` by `answered`; negative where it is
    /// behind. What may be due to the time that an answer takes is no difference.
    pub fn ahead_of(&self, now: Timestamp, asked: Steady, answered: Steady) -> i64 {
        let first = self.date.plus(asked.since(self.came)).as_millis();
        let last = self.date.plus(self.slack + answered.since(self.came)).as_millis();
        let now = now.as_millis();
        if last < now {
            last - now
        } else if now < first {
            first - now
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + millis)
    }

    fn steady(millis: u64) -> Steady {
        Steady::after(Duration::from_millis(1_000_000 + millis))
    }

    /// Graph named this second in an answer to a question of 300 ms that came at 500.
    fn clock(seconds: i64) -> HostClock {
        let date = at(seconds * 1000).to_datetime().to_rfc2822().replace("+0000", "GMT");
        let headers = HeaderMap::from_iter([(DATE, date.parse().expect("a header"))]);
        HostClock::read(&headers, steady(200), steady(500)).expect("a clock")
    }

    #[test]
    fn what_an_answer_takes_is_no_difference() {
        let ahead = |seconds, now| clock(seconds).ahead_of(at(now), steady(500), steady(500));
        assert_eq!((ahead(0, 0), ahead(0, 1_299)), (0, 0));
        assert_eq!((ahead(0, -1), ahead(0, 1_300)), (1, -1));
        assert_eq!(ahead(600, 0), 600_000);
        assert_eq!(ahead(-600, 0), -598_701);
        assert_eq!(HostClock::read(&HeaderMap::new(), steady(0), steady(1)), None);
    }

    #[test]
    fn it_goes_on_after_the_answer() {
        let later = |now| clock(0).ahead_of(at(now), steady(10_500), steady(10_700));
        assert_eq!((later(10_000), later(11_499)), (0, 0));
        assert_eq!((later(9_999), later(11_500)), (1, -1));
    }
}
