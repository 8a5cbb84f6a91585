//! ◆ Pure: what an account needs next so that it stays connected, and when to look again.
//!
//! An Instagram token has 60 days. It is refreshed when 16 to 19 days are left (by an offset that follows from the account, so that accounts
//! added together are not refreshed together), never before it is a day old, and tried at most once a day. So there are two weeks of tries
//! before it ends, and 41 days between two refreshes.

use std::time::Duration;

use runtime::retry;
use schemas::subjects::fnv1a;
use schemas::{AccountId, Channel, Timestamp};

use facts::accounts::directory::Login;
use facts::accounts::upkeep::Standing;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// A token is refreshed with so much left, less its offset.
const REFRESH_LEFT: Duration = Duration::from_secs(19 * 86_400);
/// The largest offset.
const REFRESH_SPREAD: Duration = Duration::from_secs(3 * 86_400);
/// Meta refuses to refresh a younger token.
const REFRESH_AGE: Duration = DAY;
/// With less left, every day counts.
const HURRY_LEFT: Duration = Duration::from_secs(7 * 86_400);
/// Between two tries while there is time.
const REFRESH_PAUSE_MAX: Duration = Duration::from_secs(3 * 86_400);
/// A new token that has not answered is asked again after this long.
const CONFIRM_PAUSE: Duration = Duration::from_secs(300);
/// A look that failed is repeated after this long, then after twice as long, up to [`LOOK_PAUSE_MAX`].
const LOOK_PAUSE: Duration = Duration::from_secs(300);
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(4 * 3_600);
/// Whoever stores a token asks for the fields at once; what is forgotten is asked for by the worker after this long.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// What to do for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Ask with the new token, and use it.
    Confirm,
    /// Ask for a new token.
    Refresh,
    /// Ask whether the token is accepted, and for the webhook fields.
    Look,
}

/// How urgent the end of a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// More than two weeks.
    None,
    /// 14 days or less.
    Notice,
    /// 7 days or less.
    Warning,
    /// 3 days or less, or over.
    Alert,
}

impl Urgency {
    /// `notice`, `warning`, `alert`.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Notice => Some("notice"),
            Self::Warning => Some("warning"),
            Self::Alert => Some("alert"),
        }
    }
}

/// How urgent it is that a token ends at `ends`.
pub fn urgency(ends: Timestamp, now: Timestamp) -> Urgency {
    match ends.since(now) {
        left if left <= 3 * DAY => Urgency::Alert,
        left if left <= 7 * DAY => Urgency::Warning,
        left if left <= 14 * DAY => Urgency::Notice,
        _ => Urgency::None,
    }
}

/// What is due for an account at `now`, or when something will be.
pub(crate) fn next(standing: &Standing, now: Timestamp) -> Result<Task, Timestamp> {
    let times = [
        (Task::Confirm, confirm_at(standing)),
        (Task::Refresh, refresh_at(standing)),
        (Task::Look, look_at(standing)),
    ];
    if let Some((task, _)) = times.iter().find(|(_, at)| at.is_some_and(|at| at <= now)) {
        return Ok(*task);
    }
    // An account that needs nothing may be connected again: whoever does that makes it due.
    let first = times.iter().filter_map(|(_, at)| *at).min();
    Err(first.unwrap_or_else(|| now.plus(DAY)).min(now.plus(DAY)))
}

/// Also of a stopped account: the old token may have ended while the new one waited.
fn confirm_at(standing: &Standing) -> Option<Timestamp> {
    let waits = standing.has_next && !standing.disconnected;
    waits.then(|| {
        let tries = standing.refresh_tried_at.unwrap_or(standing.token_since);
        tries.plus(CONFIRM_PAUSE)
    })
}

fn refresh_at(standing: &Standing) -> Option<Timestamp> {
    let old_enough = standing.token_since.plus(REFRESH_AGE);
    let wanted = match standing.token_ends {
        _ if standing.login != Login::Instagram || !standing.active || standing.has_next => {
            return None;
        }
        Some(ends) => ends.minus(REFRESH_LEFT).plus(offset(standing, REFRESH_SPREAD)),
        // The answer to a refresh says when it ends.
        None => old_enough.plus(offset(standing, 2 * HOUR)),
    };
    let again = standing.refresh_tried_at.map_or(Timestamp::MIN, |tried| {
        let hurry = standing.token_ends.is_some_and(|ends| ends.since(tried) < HURRY_LEFT);
        let pause = match standing.refresh_tries {
            0 => DAY,
            _ if hurry => DAY,
            tries => (tries.min(8) * DAY).min(REFRESH_PAUSE_MAX),
        };
        tried.plus(pause)
    });
    Some(wanted.max(old_enough).max(again))
}

fn look_at(standing: &Standing) -> Option<Timestamp> {
    if !standing.active {
        return None;
    }
    let wanted = match standing.looked_at {
        None => standing.token_since.plus(FIRST_LOOK),
        // At the same time of the day in the long run, and not all at once after an outage.
        Some(looked) => looked.plus(DAY - offset(standing, HOUR)),
    };
    let again = match (standing.look_tries, standing.look_tried_at) {
        (0, _) | (_, None) => Timestamp::MIN,
        (tries, Some(tried)) => {
            tried.plus(retry::delay(LOOK_PAUSE, LOOK_PAUSE_MAX, tries - 1, 1.0))
        }
    };
    Some(wanted.max(again))
}

/// From 0 to `spread`: the same for an account at all times.
fn offset(standing: &Standing, spread: Duration) -> Duration {
    let Standing { channel, id, .. } = standing;
    spread / 1_000 * (hash(*channel, id) % 1_000)
}

fn hash(channel: Channel, id: &AccountId) -> u32 {
    fnv1a(format!("upkeep/{channel}/{id}").as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFE: Duration = Duration::from_secs(5_183_944);
    const START: Timestamp = Timestamp::from_millis(1_796_000_000_000);

    fn standing(n: u32, ends: Option<Timestamp>) -> Standing {
        Standing {
            channel: Channel::Instagram,
            id: AccountId::new(format!("1784140{n:010}")),
            login: Login::Instagram,
            active: true,
            disconnected: false,
            token_since: START,
            token_ends: ends,
            looked_at: None,
            look_tries: 0,
            look_tried_at: None,
            refresh_tries: 0,
            refresh_tried_at: None,
            has_next: false,
        }
    }

    /// What one account lived through in a year.
    #[derive(Default)]
    struct Year {
        lapsed: bool,
        refreshes: Vec<Timestamp>,
        tries: Vec<Timestamp>,
        looks: Vec<Timestamp>,
    }

    /// A year of one account whose worker looks every `tick`, with outages and failed calls as `works` says.
    fn live(mut one: Standing, tick: Duration, works: impl Fn(Timestamp) -> bool) -> Year {
        let mut year = Year::default();
        // What Meta knows, also where we do not.
        let mut really_ends = one.token_ends.unwrap_or(START.plus(LIFE));
        let mut now = START;
        while now < START.plus(365 * DAY) {
            year.lapsed |= really_ends <= now;
            let at = match next(&one, now) {
                Err(at) => {
                    assert!(now < at, "due in the past");
                    now = at.max(now.plus(tick));
                    continue;
                }
                Ok(task) => task,
            };
            match (at, works(now)) {
                (Task::Refresh, ok) => {
                    year.tries.push(now);
                    one.refresh_tries += 1;
                    one.refresh_tried_at = Some(now);
                    if ok {
                        one.has_next = true;
                    }
                }
                (Task::Confirm, true) => {
                    year.refreshes.push(now);
                    really_ends = now.plus(LIFE);
                    one = Standing {
                        token_since: now,
                        token_ends: Some(really_ends),
                        refresh_tried_at: one.refresh_tried_at,
                        ..standing(0, None)
                    };
                }
                (Task::Confirm, false) => one.refresh_tried_at = Some(now),
                (Task::Look, true) => {
                    year.looks.push(now);
                    one.looked_at = Some(now);
                    one.look_tries = 0;
                }
                (Task::Look, false) => {
                    one.look_tries += 1;
                    one.look_tried_at = Some(now);
                }
            }
            now = now.plus(tick);
        }
        year
    }

    fn check(year: &Year) {
        assert!(!year.lapsed, "the token ended");
        for pair in year.refreshes.windows(2) {
            assert!(40 * DAY <= pair[1].since(pair[0]), "refreshed twice in 40 days");
        }
        for pair in year.tries.windows(2) {
            assert!(DAY <= pair[1].since(pair[0]), "tried twice in a day");
        }
    }

    #[test]
    fn a_year_of_a_thousand_accounts_has_no_lapse_and_few_refreshes() {
        for n in 0..1_000 {
            let ends = (n % 3 > 0).then(|| START.plus(LIFE));
            let year = live(standing(n, ends), Duration::from_secs(600), |_| true);
            check(&year);
            assert!((7..=10).contains(&year.refreshes.len()), "{}", year.refreshes.len());
            assert!(year.looks.len() >= 365, "{} looks", year.looks.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Half of the calls fail, but on every fourth day, and there is an outage of up to nine days somewhere: still no token ends.
        #[test]
        fn outages_and_failures_end_no_token(n in 0_u32..1_000_000, seed in any::<u32>(), from in 0_u64..350, days in 0_u64..9) {
            let (from, until) = (START.plus(from as u32 * DAY), START.plus((from + days) as u32 * DAY));
            let works = |now: Timestamp| {
                let day = now.since(START).as_secs() / DAY.as_secs();
                let lucky = fnv1a(format!("{seed}/{}", now.as_millis()).as_bytes()).is_multiple_of(2);
                (lucky || day % 4 == 3) && !(from..until).contains(&now)
            };
            check(&live(standing(n, Some(START.plus(LIFE))), Duration::from_secs(1_800), works));
        }
    }

    #[test]
    fn what_needs_nothing_is_left_alone() {
        let mut page = standing(1, None);
        page.login = Login::Facebook;
        page.looked_at = Some(START);
        assert!(next(&page, START.plus(2 * HOUR)).is_err());
        assert_eq!(next(&page, START.plus(DAY)), Ok(Task::Look));
        page.active = false;
        assert!(next(&page, START.plus(30 * DAY)).is_err());
        // A stopped account with a new token that waits goes on with it.
        page.has_next = true;
        assert_eq!(next(&page, START.plus(DAY)), Ok(Task::Confirm));
        page.disconnected = true;
        assert!(next(&page, START.plus(DAY)).is_err());
    }

    #[test]
    fn people_are_warned_in_time() {
        let left = |days: u32| urgency(START.plus(days * DAY), START);
        assert_eq!(
            [15, 14, 7, 3, 0].map(left),
            [Urgency::None, Urgency::Notice, Urgency::Warning, Urgency::Alert, Urgency::Alert]
        );
        assert_eq!(urgency(START, START.plus(DAY)), Urgency::Alert);
    }
}
