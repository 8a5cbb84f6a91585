//! ◆ Pure: Meta's usage headers (docs/meta-platform.md 10), and how much of an allowance each kind of work may use.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::steady::Steady;
use serde::Deserialize;

/// What a call is made for, the most important first. Each may use the allowance up to its share, so that the next more important
/// kind still finds some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Replies and their reconciliation.
    Reply,
    /// Finding the senders of messages.
    Resolve,
    /// Acts on comments.
    Moderate,
    /// Profiles.
    Enrich,
    /// Imports, checks of completeness.
    Sync,
    /// Figures.
    Insights,
}

impl Lane {
    /// All, the most important first.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] =
        [Self::Reply, Self::Resolve, Self::Moderate, Self::Enrich, Self::Sync, Self::Insights];

    /// Up to which percentage of the allowance this kind of work goes on.
    pub(crate) const fn percent_max(self) -> u32 {
        match self {
            Self::Reply => 100,
            Self::Resolve => 90,
            Self::Moderate => 80,
            Self::Enrich => 60,
            Self::Sync => 50,
            Self::Insights => 40,
        }
    }
}

/// An allowance that is used up for an unknown time is left alone for this long, then for twice as long, …: Meta throttles
/// at 100 %, and calls made while throttled prolong the block.
const USED_UP_PAUSE: Duration = Duration::from_secs(6);

/// What the headers of one answer say, in percent of the allowance; throttled at 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// `X-App-Usage`
    pub(crate) app: Option<u32>,
    /// The highest of `X-Business-Use-Case-Usage` and `X-Page-Usage`.
    pub(crate) account: Option<u32>,
    /// The longest time until access is given again; absent when access was not lost.
    pub(crate) regain: Option<Duration>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    call_count: f64,
    #[serde(default)]
    total_time: f64,
    #[serde(default)]
    total_cputime: f64,
    #[serde(default)]
    estimated_time_to_regain_access: f64,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Counts {
    /// Any of the counts limits, so the highest counts.
    fn percent(&self) -> u32 {
        let highest = self.call_count.max(self.total_time).max(self.total_cputime);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 0..=1000
        {
            highest.clamp(0.0, 1000.0).ceil() as u32
        }
    }

    fn regain(&self) -> Option<Duration> {
        // Minutes. A week is longer than Meta ever throttles: a larger number is a broken header.
        let minutes = self.estimated_time_to_regain_access;
        (0.0 < minutes && minutes <= 7.0 * 24.0 * 60.0)
            .then(|| Duration::from_secs_f64(minutes * 60.0))
    }
}

impl Usage {
    /// Reads the headers; a broken one is ignored.
    pub(crate) fn parse(app: Option<&str>, page: Option<&str>, business: Option<&str>) -> Self {
        let counts =
            |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Counts>(text).ok());
        let mut usage = Self { app: counts(app).map(|counts| counts.percent()), ..Self::default() };
        usage.account = counts(page).map(|counts| counts.percent());
        let by_id: BTreeMap<String, Vec<Counts>> =
            business.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for counts in by_id.values().flatten().filter(|counts| !counts.kind.starts_with("ads")) {
            usage.account = usage.account.max(Some(counts.percent()));
            usage.regain = usage.regain.max(counts.regain());
        }
        usage
    }
}

/// How one allowance (of an app, or of an account) stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    /// The last figure, and when it arrived.
    measured: Option<(u32, Steady)>,
    /// No call before.
    closed_until: Option<Steady>,
    /// Refusals for the limit since the last success.
    refusals: u32,
    /// Figures of 100 % or more since the last lower one.
    used_up: u32,
}

/// Delays of the budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    /// First pause after a refusal that does not say for how long.
    pub(crate) min: Duration,
    /// Longest such pause.
    pub(crate) max: Duration,
    /// A figure older than this says nothing any more: the allowance moves on while nobody asks.
    pub(crate) measured_for: Duration,
}

impl Meter {
    /// How long this kind of work must wait; `None`: it may go on.
    pub(crate) fn wait(&self, lane: Lane, now: Steady, pauses: &Pauses) -> Option<Duration> {
        if let Some(closed) = self.closed_for(now) {
            return Some(closed);
        }
        let (percent, at) = self.measured?;
        let until = at.plus(pauses.measured_for);
        (lane.percent_max() <= percent && lane != Lane::Reply && now < until)
            .then(|| until.since(now))
    }

    /// Takes in a figure. At 100 %, with a time to regain access, or with a refusal, the meter closes for everybody.
    pub(crate) fn measure(
        &mut self,
        percent: u32,
        regain: Option<Duration>,
        now: Steady,
        pauses: &Pauses,
    ) {
        self.measured = Some((percent, now));
        if let Some(regain) = regain {
            self.close(now.plus(regain));
        } else if 100 <= percent {
            let longest = pauses.max.max(USED_UP_PAUSE);
            let pause = runtime::retry::delay(USED_UP_PAUSE, longest, self.used_up, 1.0);
            // Figures that arrive while it is closed already were under way: they are one and the same.
            if self.closed_for(now).is_none() {
                self.used_up = self.used_up.saturating_add(1);
                self.close(now.plus(pause));
            }
        } else {
            self.used_up = 0;
        }
    }

    /// Takes in a call that was not refused for the limit.
    pub(crate) const fn pass(&mut self) {
        self.refusals = 0;
    }

    /// Takes in a refusal for the limit. Calls made while throttled prolong the block, so every further one doubles the pause.
    /// Returns how long it is closed now.
    pub(crate) fn refuse(
        &mut self,
        regain: Option<Duration>,
        now: Steady,
        pauses: &Pauses,
    ) -> Duration {
        let pause = regain
            .unwrap_or_else(|| runtime::retry::delay(pauses.min, pauses.max, self.refusals, 1.0));
        // Refusals that arrive while it is closed already were under way: they are one and the same.
        if self.closed_for(now).is_none() {
            self.refusals = self.refusals.saturating_add(1);
        }
        self.close(now.plus(pause));
        self.closed_until.map_or(pause, |until| until.since(now))
    }

    fn close(&mut self, until: Steady) {
        self.closed_until = self.closed_until.max(Some(until));
    }

    /// The last figure with the time of its answer, and until when no call may be made: what other workers should know.
    pub(crate) const fn figures(&self) -> (Option<(u32, Steady)>, Option<Steady>) {
        (self.measured, self.closed_until)
    }

    /// Takes in what another worker knows: the newer figure counts, and the longer pause.
    pub(crate) fn adopt(&mut self, measured: Option<(u32, Steady)>, closed_until: Option<Steady>) {
        let time = |figure: &Option<(u32, Steady)>| figure.map(|(_, at)| at);
        if time(&self.measured) < time(&measured) {
            self.measured = measured;
        }
        self.closed_until = self.closed_until.max(closed_until);
    }

    /// For how long no call may be made, where that is any time at all.
    pub(crate) fn closed_for(&self, now: Steady) -> Option<Duration> {
        let until = self.closed_until.filter(|until| now < *until)?;
        Some(until.since(now))
    }
}

/// Spaces calls evenly: the Conversations API allows 2 per second and account (docs/meta-platform.md 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    next: Option<Steady>,
}

impl Pace {
    /// Takes the next slot and returns how long to wait for it.
    pub(crate) fn take(&mut self, every: Duration, now: Steady) -> Duration {
        let slot = self.next.map_or(now, |next| next.max(now));
        self.next = Some(slot.plus(every));
        slot.since(now)
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
