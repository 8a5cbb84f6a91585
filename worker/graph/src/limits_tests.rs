use proptest::prelude::*;

use super::*;

const PAUSES: Pauses = Pauses {
    min: Duration::from_secs(1),
    max: Duration::from_secs(600),
    measured_for: Duration::from_secs(60),
};

fn at(seconds: u64) -> Steady {
    Steady::after(Duration::from_secs(1_000 + seconds))
}

#[test]
fn headers_are_read_as_meta_writes_them() {
    let usage = Usage::parse(
        Some(r#"{"call_count":28,"total_time":25,"total_cputime":31}"#),
        None,
        Some(
            r#"{"103000000000301":[{"type":"messenger","call_count":95,"total_cputime":20,"total_time":20,
               "estimated_time_to_regain_access":17},{"type":"ads_insights","call_count":100}]}"#,
        ),
    );
    assert_eq!(usage.app, Some(31));
    assert_eq!(usage.account, Some(95));
    assert_eq!(usage.regain, Some(Duration::from_secs(17 * 60)));
    let none = Usage::parse(
        Some("broken"),
        None,
        Some(r#"{"1":[{"estimated_time_to_regain_access":0}]}"#),
    );
    assert_eq!((none.app, none.account, none.regain), (None, Some(0), None));
}

#[test]
fn less_important_work_stops_earlier() {
    let mut meter = Meter::default();
    let free = |meter: &Meter| {
        Lane::ALL
            .iter()
            .filter(|lane| meter.wait(**lane, at(1), &PAUSES).is_none())
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(free(&meter), Lane::ALL);
    meter.measure(65, None, at(0), &PAUSES);
    assert_eq!(free(&meter), [Lane::Reply, Lane::Resolve, Lane::Moderate]);
    meter.measure(95, None, at(0), &PAUSES);
    assert_eq!(free(&meter), [Lane::Reply]);
    assert_eq!(meter.wait(Lane::Sync, at(1), &PAUSES), Some(Duration::from_secs(59)));
    // An old figure says nothing any more.
    assert_eq!(meter.wait(Lane::Sync, at(61), &PAUSES), None);
}

#[test]
fn an_allowance_that_is_used_up_closes_for_everybody_and_longer_each_time() {
    let mut meter = Meter::default();
    let closed =
        |meter: &Meter, now| meter.wait(Lane::Reply, now, &PAUSES).map(|wait| wait.as_secs());
    meter.measure(100, None, at(0), &PAUSES);
    // Those under way at that moment say the same.
    meter.measure(100, None, at(1), &PAUSES);
    assert_eq!(
        (closed(&meter, at(0)), closed(&meter, at(5)), closed(&meter, at(6))),
        (Some(6), Some(1), None)
    );
    meter.measure(100, None, at(7), &PAUSES);
    assert_eq!(closed(&meter, at(7)), Some(12));
    meter.measure(99, None, at(20), &PAUSES);
    meter.measure(100, None, at(30), &PAUSES);
    assert_eq!(closed(&meter, at(30)), Some(6));
    // A refusal that comes with the figure gets the longer of both.
    assert_eq!(meter.refuse(None, at(30), &PAUSES).as_secs(), 6);
}

#[test]
fn a_refusal_closes_for_everybody_as_long_as_meta_says() {
    let mut meter = Meter::default();
    let pause = meter.refuse(Some(Duration::from_secs(17 * 60)), at(0), &PAUSES);
    assert_eq!(pause, Duration::from_secs(17 * 60));
    assert_eq!(meter.wait(Lane::Reply, at(60), &PAUSES), Some(Duration::from_secs(16 * 60)));
    assert_eq!(meter.wait(Lane::Reply, at(17 * 60), &PAUSES), None);
}

#[test]
fn refusals_without_a_time_double_the_pause_until_one_call_passes() {
    let mut meter = Meter::default();
    assert_eq!(meter.refuse(None, at(0), &PAUSES).as_secs(), 1);
    // Under way at the same time: no doubling.
    meter.refuse(None, at(0), &PAUSES);
    assert_eq!(meter.closed_for(at(0)), Some(Duration::from_secs(2)));
    assert_eq!(meter.refuse(None, at(10), &PAUSES).as_secs(), 2);
    meter.pass();
    assert_eq!(meter.refuse(None, at(100), &PAUSES).as_secs(), 1);
}

proptest! {
    #[test]
    fn paced_calls_are_never_closer_than_allowed(gaps in proptest::collection::vec(0_u64..2_000, 1..50)) {
        let every = Duration::from_millis(500);
        let mut pace = Pace::default();
        let mut now = at(0);
        let mut last = None;
        for gap in gaps {
            now = now.plus(Duration::from_millis(gap));
            let slot = now.plus(pace.take(every, now));
            if let Some(last) = last {
                prop_assert!(every <= slot.since(last));
            }
            last = Some(slot);
        }
    }

    #[test]
    fn a_more_important_lane_never_waits_longer(percent in 0_u32..200, regain in proptest::option::of(0_u64..10_000), after in 0_u64..200) {
        let mut meter = Meter::default();
        meter.measure(percent, regain.map(Duration::from_secs), at(0), &PAUSES);
        let waits: Vec<_> = Lane::ALL.iter().map(|lane| meter.wait(*lane, at(after), &PAUSES).unwrap_or_default()).collect();
        prop_assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
    }

    #[test]
    fn headers_never_panic(text in ".*") {
        Usage::parse(Some(&text), Some(&text), Some(&text));
    }
}
