//! ◆ Pure: whether an account that used to speak is silent, by its own rhythm.

use std::time::Duration;

use facts::accounts::upkeep::Attention;
use schemas::Timestamp;

/// An account is known once its webhooks span so long.
const KNOWN_AFTER: Duration = Duration::from_secs(3 * 86_400);
/// A shorter silence is a night, whatever the account's rhythm.
const SILENCE_MIN: Duration = Duration::from_secs(12 * 3_600);
/// So many times the longest silence of the last weeks.
const TIMES: u32 = 3;

/// Since when an account is silent; `None`: it is not, or its rhythm is not known yet.
pub fn silent_since(one: &Attention, now: Timestamp) -> Option<Timestamp> {
    let (first, last) = (one.heard_first?, one.heard_last?);
    if one.state != "active" || last.since(first) < KNOWN_AFTER {
        return None;
    }
    let usual = Duration::from_secs(one.longest_gap);
    let limit = usual.saturating_mul(TIMES).max(SILENCE_MIN);
    (limit < now.since(last)).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Timestamp = Timestamp::from_millis(1_796_000_000_000);

    fn account(spans: Duration, gap: Duration) -> Attention {
        Attention {
            channel: schemas::Channel::Instagram,
            id: "1".into(),
            state: "active".to_owned(),
            token_ends: None,
            refresh_error: None,
            withheld: Vec::new(),
            heard_first: Some(START),
            heard_last: Some(START.plus(spans)),
            longest_gap: gap.as_secs(),
        }
    }

    #[test]
    fn silence_is_measured_by_the_accounts_own_rhythm() {
        let after = |one: &Attention, silence: Duration| {
            let last = one.heard_last.unwrap_or(START);
            silent_since(one, last.plus(silence)).is_some()
        };
        // It speaks all day, and pauses for a night.
        let busy = account(30 * 24 * HOUR, 9 * HOUR);
        assert!(!after(&busy, 26 * HOUR) && after(&busy, 28 * HOUR));
        // It speaks every few days.
        let quiet = account(60 * 24 * HOUR, 100 * HOUR);
        assert!(!after(&quiet, 299 * HOUR) && after(&quiet, 301 * HOUR));
        // Without a pause yet: never within half a day.
        let always = account(10 * 24 * HOUR, HOUR);
        assert!(!after(&always, 12 * HOUR) && after(&always, 13 * HOUR));
        // New, stopped or never heard of: nothing is known.
        assert!(!after(&account(24 * HOUR, HOUR), 1_000 * HOUR));
        let stopped = Attention { state: "stopped".to_owned(), ..busy.clone() };
        assert!(!after(&stopped, 1_000 * HOUR));
        let unheard = Attention { heard_first: None, heard_last: None, ..busy };
        assert_eq!(silent_since(&unheard, START.plus(1_000 * HOUR)), None);
    }
}
