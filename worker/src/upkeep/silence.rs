//! ◆ Pure: whether an account, or one of its webhook fields, that used to speak is silent, by its own rhythm.

use std::time::Duration;

use facts::accounts::upkeep::{Attention, Heard};
use schemas::Timestamp;

/// A rhythm is known once webhooks span so long.
const KNOWN_AFTER: Duration = Duration::from_secs(3 * 86_400);
/// And once something came after a pause so often.
const SPELLS_MIN: u32 = 5;
/// A shorter silence is a night, whatever the rhythm.
const SILENCE_MIN: Duration = Duration::from_secs(12 * 3_600);
/// So many times the longest silence of the last weeks.
const TIMES: u32 = 3;

/// Since when an account is silent as a whole; `None`: it is not, or its rhythm is not known yet.
pub fn silent_since(one: &Attention, now: Timestamp) -> Option<Timestamp> {
    let whole = one.heard.iter().find(|heard| heard.field.is_empty())?;
    (one.state == "active").then(|| since(whole, now)).flatten()
}

/// The fields of an account that are silent while others speak, each since when. What Meta withholds is known already.
pub fn silent_fields(one: &Attention, now: Timestamp) -> Vec<(&str, Timestamp)> {
    if one.state != "active" || silent_since(one, now).is_some() {
        return Vec::new();
    }
    let is_withheld = |field: &str| {
        one.withheld.iter().any(|name| name.split_once('/').is_some_and(|(_, name)| name == field))
    };
    let fields = one.heard.iter().filter(|heard| !heard.field.is_empty());
    fields
        .filter(|heard| !is_withheld(&heard.field))
        .filter_map(|heard| Some((heard.field.as_str(), since(heard, now)?)))
        .collect()
}

fn since(heard: &Heard, now: Timestamp) -> Option<Timestamp> {
    if heard.spells < SPELLS_MIN || heard.last.since(heard.first) < KNOWN_AFTER {
        return None;
    }
    let limit = Duration::from_secs(heard.longest_gap).saturating_mul(TIMES).max(SILENCE_MIN);
    (limit < now.since(heard.last)).then_some(heard.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Timestamp = Timestamp::from_millis(1_796_000_000_000);

    fn heard(field: &str, spans: Duration, gap: Duration) -> Heard {
        Heard {
            field: field.to_owned(),
            first: START,
            last: START.plus(spans),
            longest_gap: gap.as_secs(),
            spells: SPELLS_MIN,
        }
    }

    fn account(heard: Vec<Heard>) -> Attention {
        Attention {
            channel: schemas::Channel::Instagram,
            id: "1".into(),
            state: "active".to_owned(),
            token_ends: None,
            refresh_error: None,
            withheld: Vec::new(),
            heard,
        }
    }

    #[test]
    fn silence_is_measured_by_the_accounts_own_rhythm() {
        let whole = |spans, gap| account(vec![heard("", spans, gap)]);
        let after = |one: &Attention, silence: Duration| {
            silent_since(one, one.heard[0].last.plus(silence)).is_some()
        };
        // It speaks all day, and pauses for a night.
        let busy = whole(30 * 24 * HOUR, 9 * HOUR);
        assert!(!after(&busy, 26 * HOUR) && after(&busy, 28 * HOUR));
        // It speaks every few days.
        let quiet = whole(60 * 24 * HOUR, 100 * HOUR);
        assert!(!after(&quiet, 299 * HOUR) && after(&quiet, 301 * HOUR));
        // Without a pause yet: never within half a day.
        let always = whole(10 * 24 * HOUR, HOUR);
        assert!(!after(&always, 12 * HOUR) && after(&always, 13 * HOUR));
        // New, heard of a few times only, stopped or never heard of: nothing is known.
        assert!(!after(&whole(24 * HOUR, HOUR), 1_000 * HOUR));
        let mut seldom = busy.clone();
        seldom.heard[0].spells = SPELLS_MIN - 1;
        assert!(!after(&seldom, 1_000 * HOUR));
        let stopped = Attention { state: "stopped".to_owned(), ..busy };
        assert!(!after(&stopped, 1_000 * HOUR));
        assert_eq!(silent_since(&account(Vec::new()), START.plus(1_000 * HOUR)), None);
    }

    #[test]
    fn a_field_falls_silent_while_others_speak() {
        let days = |days: u32| days * 24 * HOUR;
        let mut one = account(vec![
            heard("", days(30), 9 * HOUR),
            heard("comments", days(20), 9 * HOUR),
            heard("mentions", days(20), days(8)),
            heard("messages", days(30), 9 * HOUR),
        ]);
        let now = START.plus(days(30)).plus(HOUR);
        assert_eq!(silent_fields(&one, now), [("comments", START.plus(days(20)))]);
        // Known from Meta already.
        one.withheld = vec!["instagram/comments".to_owned()];
        assert_eq!(silent_fields(&one, now), []);
        // All are silent: that is said once.
        let later = START.plus(days(60));
        assert!(silent_since(&one, later).is_some() && silent_fields(&one, later).is_empty());
    }
}
