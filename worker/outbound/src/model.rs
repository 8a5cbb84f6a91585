//! A model of Meta and of crashing workers around the pure decision: whatever happens, one part has at most one effect and an end.

mod restored;

use std::time::Duration;

use proptest::prelude::*;
use schemas::Timestamp;

use crate::attempt_log::Entry;
use crate::decide::{
    ATTEMPTS_MAX, AfterAnswer, AfterLook, Answer, Journal, Look, OUTAGE_MAX, Repeat, RetryWaits,
    Step, after_answer, after_look, next_step, read_again,
};
use crate::matching::{Item, Owner, Wanted, owner};
use crate::state::PartState;
use facts::follow_up::content::of_text;
use policy::Verdict;

const WAITS: RetryWaits = RetryWaits {
    reconcile_after: Duration::from_secs(30),
    retry_min: Duration::from_secs(1),
    retry_max: Duration::from_secs(600),
    reads_apart: runtime::waits::READS_APART.real(),
};
const LEASE: Duration = Duration::from_secs(20);
const ALLOWED: Verdict = Verdict::Allowed { rule: "window.24h", until: None };

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Delivered and answered.
    Answered,
    /// Delivered; the answer is lost, or is one of Meta's errors of class U.
    DeliveredThenLost,
    /// Not delivered; no answer, or class U.
    LostBefore,
    /// Not delivered, and Meta (or the network) says so.
    NotExecuted,
    /// The worker dies after writing the attempt down, before the request.
    CrashBefore,
    /// The worker dies after the request was delivered.
    CrashAfterDelivery,
    /// Refused for good.
    Refused,
}

/// What one read of the thread gives.
#[derive(Clone, Copy, Debug)]
enum Read {
    /// The truth.
    Works,
    /// An error, or too short.
    Fails,
    /// No answer.
    Unanswered,
}

/// What Meta does to what it is given.
#[derive(Clone, Copy, Debug, Default)]
struct Quirks {
    /// How far its clock is from ours, in seconds.
    skew: i64,
    /// It reports other content than it was given.
    alters: bool,
}

fn read() -> impl Strategy<Value = Read> {
    prop_oneof![Just(Read::Works), Just(Read::Fails), Just(Read::Unanswered)]
}

/// Clocks that are wrong by minutes, or by as much as fits and content that is altered.
fn quirks() -> impl Strategy<Value = Quirks> {
    prop_oneof![
        (-300_i64..=300).prop_map(|skew| Quirks { skew, alters: false }),
        (-5_i64..=5).prop_map(|skew| Quirks { skew, alters: true }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Answered),
        2 => Just(Fate::DeliveredThenLost),
        2 => Just(Fate::LostBefore),
        2 => Just(Fate::NotExecuted),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfterDelivery),
        1 => Just(Fate::Refused),
    ]
}

/// What Postgres has at one moment; the last is how much of the log it knows.
type Saved = (Journal, Option<Timestamp>, bool, usize);

struct World {
    /// Every attempt, as the log has it.
    log: Vec<Entry>,
    /// What Postgres had before every step.
    saved: Vec<Saved>,
    now: Timestamp,
    journal: Journal,
    first_at: Option<Timestamp>,
    uncertain: bool,
    delivered: Vec<Timestamp>,
    requests: u32,
    quirks: Quirks,
}

impl World {
    fn new(repeat: Repeat) -> Self {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let journal = Journal {
            state: PartState::Planned,
            repeat,
            attempt: 0,
            refusals: 0,
            started_at: None,
            deadline: None,
            lost: false,
            not_before: None,
            looks: 0,
            absent_at: None,
            planned_at: now,
        };
        Self {
            log: Vec::new(),
            saved: Vec::new(),
            now,
            journal,
            first_at: None,
            uncertain: false,
            delivered: Vec::new(),
            requests: 0,
            quirks: Quirks::default(),
        }
    }

    /// The part as it is looked for.
    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted {
            key: "k".to_owned(),
            content: of_text("ok"),
            peer: "p".to_owned(),
            first_at: self.first_at?,
            deadline: self.journal.deadline?,
            in_flight: false,
        })
    }

    /// The first delivery as Meta reports it.
    fn item(&self) -> Option<Item> {
        let reported = self.delivered.first()?.as_millis() + self.quirks.skew * 1000;
        Some(Item {
            id: "m".to_owned(),
            content: of_text(if self.quirks.alters { "o.k." } else { "ok" }),
            peer: "p".to_owned(),
            time: Timestamp::from_millis(reported),
            claimed: false,
            early: false,
        })
    }

    fn send(&mut self, fate: Fate) {
        let journal = &mut self.journal;
        journal.state = PartState::Sending;
        journal.attempt += 1;
        journal.started_at = Some(self.now);
        journal.deadline = Some(self.now.plus(LEASE));
        (journal.lost, journal.not_before, journal.looks, journal.absent_at) =
            (false, None, 0, None);
        self.first_at = self.first_at.or(Some(self.now));
        self.log.push(restored::entry(journal.attempt, self.now));
        if matches!(fate, Fate::CrashBefore) {
            return;
        }
        self.requests += 1;
        self.now = self.now.plus(Duration::from_millis(300));
        if matches!(fate, Fate::Answered | Fate::DeliveredThenLost | Fate::CrashAfterDelivery) {
            self.delivered.push(self.now);
        }
        let answer = match fate {
            Fate::Answered => Answer::Sent { item_id: Some("m".to_owned()) },
            Fate::DeliveredThenLost | Fate::LostBefore => Answer::Lost,
            Fate::NotExecuted => Answer::NotExecuted { pause: None },
            Fate::Refused => Answer::Refused,
            Fate::CrashBefore | Fate::CrashAfterDelivery => return,
        };
        match after_answer(&self.journal, answer, &WAITS, 1.0, self.now) {
            AfterAnswer::Sent { .. } => self.journal.state = PartState::Sent,
            AfterAnswer::Refused { not_before } => {
                self.journal.state = PartState::Refused;
                self.journal.refusals += 1;
                self.journal.not_before = Some(not_before);
            }
            AfterAnswer::Lost => {
                self.journal.lost = true;
                self.uncertain = true;
            }
            AfterAnswer::Failed => self.journal.state = PartState::Failed,
            AfterAnswer::Unknown => self.journal.state = PartState::Unknown,
        }
    }

    fn look(&mut self, read: Read) {
        let look = match read {
            Read::Works => {
                let shown: Vec<Item> = self.item().into_iter().collect();
                self.wanted()
                    .map_or(Look::Inconclusive, |wanted| wanted.look(&shown, true, Duration::ZERO))
            }
            Read::Fails => Look::Inconclusive,
            Read::Unanswered => match read_again(&self.journal, &WAITS, self.now) {
                Some(pause) => {
                    self.now = self.now.plus(pause);
                    return;
                }
                None => Look::Inconclusive,
            },
        };
        match after_look(&self.journal, look, self.now, &WAITS, self.now) {
            AfterLook::Sent { .. } => self.journal.state = PartState::Sent,
            AfterLook::Again { at, absent_at } => {
                self.journal.looks += 1;
                self.journal.not_before = Some(at);
                self.journal.absent_at = absent_at;
            }
            AfterLook::Repeat => {
                self.journal.state = PartState::Refused;
                self.journal.not_before = None;
                self.uncertain = true;
            }
            AfterLook::Park => {
                self.journal.state = PartState::Unknown;
                self.uncertain = true;
            }
        }
    }

    /// Runs to the end; the fates and reads are used one after the other, the last ones for ever.
    fn run(&mut self, fates: &[Fate], reads: &[Read]) {
        let (mut fates, mut reads) = (fates.iter().copied(), reads.iter().copied());
        for _ in 0..500 {
            self.saved.push((self.journal.clone(), self.first_at, self.uncertain, self.log.len()));
            match next_step(&self.journal, &ALLOWED, None, &WAITS, self.now) {
                Step::Send { .. } => self.send(fates.next().unwrap_or(Fate::Answered)),
                Step::WaitUntil(until) => {
                    assert!(self.now < until, "waiting for the past");
                    self.now = until;
                }
                Step::Look => self.look(reads.next().unwrap_or(Read::Works)),
                Step::Fail(_) => self.journal.state = PartState::Failed,
                Step::Park => self.journal.state = PartState::Unknown,
                Step::Done => return,
            }
        }
        panic!("no end: {:?}", self.journal);
    }

    /// An echo comes whenever it comes, and overrules.
    fn echo(&mut self) {
        let (Some(item), Some(wanted)) = (self.item(), self.wanted()) else { return };
        if self.journal.state == PartState::Sent
            || !(self.uncertain || self.journal.state == PartState::Sending)
        {
            return;
        }
        let wanted = [wanted];
        assert!(matches!(owner(&wanted, &item), Owner::Part(_)));
        self.journal.state = PartState::Sent;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn never_two_deliveries_and_never_silence(
        fates in prop::collection::vec(fate(), 0..12),
        reads in prop::collection::vec(read(), 0..20),
    ) {
        let mut world = World::new(Repeat::AfterProof);
        world.run(&fates, &reads);
        prop_assert!(world.delivered.len() <= 1, "{:?}", world.delivered);
        prop_assert!(world.journal.state.is_final());
        match world.journal.state {
            PartState::Sent => prop_assert_eq!(world.delivered.len(), 1),
            PartState::Failed => prop_assert!(world.delivered.is_empty()),
            PartState::Unknown => {}
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(world.journal.attempt - world.journal.refusals <= ATTEMPTS_MAX);
        let was = world.journal.state;
        world.echo();
        if was == PartState::Unknown && !world.delivered.is_empty() {
            prop_assert_eq!(world.journal.state, PartState::Sent, "a late echo overrules");
        }
    }

    #[test]
    fn what_meta_alters_or_dates_wrongly_is_never_sent_twice(
        fates in prop::collection::vec(fate(), 0..12),
        reads in prop::collection::vec(read(), 0..20),
        quirks in quirks(),
    ) {
        let mut world = World { quirks, ..World::new(Repeat::AfterProof) };
        world.run(&fates, &reads);
        prop_assert!(world.delivered.len() <= 1, "{:?}", world.delivered);
        prop_assert!(world.journal.state.is_final());
    }

    #[test]
    fn comments_and_conversions_are_asked_for_once_unless_meta_said_no(
        repeat in prop_oneof![Just(Repeat::Never), Just(Repeat::Unseen)],
        fates in prop::collection::vec(fate(), 0..12),
        reads in prop::collection::vec(read(), 0..20),
    ) {
        let mut world = World::new(repeat);
        world.run(&fates, &reads);
        prop_assert!(world.journal.attempt - world.journal.refusals <= 1);
        prop_assert!(world.delivered.len() <= 1);
        prop_assert!(world.journal.state.is_final());
    }

    #[test]
    fn sender_actions_are_tried_once(fates in prop::collection::vec(fate(), 1..4)) {
        let mut world = World::new(Repeat::OneTry);
        world.run(&fates, &[]);
        prop_assert!(world.requests <= 1);
        prop_assert!(matches!(world.journal.state, PartState::Sent | PartState::Failed));
    }

    #[test]
    fn absence_is_proven_by_two_reads_late_and_apart(first in 0_i64..120, second in 0_i64..240) {
        let mut world = World::new(Repeat::AfterProof);
        let start = world.now;
        world.send(Fate::LostBefore);
        let at = |seconds: i64| Timestamp::from_millis(start.as_millis() + seconds * 1000);
        let mut repeats = false;
        for seconds in [first, first + second] {
            match after_look(&world.journal, Look::Absent, at(seconds), &WAITS, at(seconds)) {
                AfterLook::Again { absent_at, .. } => world.journal.absent_at = absent_at,
                AfterLook::Repeat => repeats = true,
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(repeats, first >= 50 && second >= 15);
    }
}

#[test]
fn a_crash_in_flight_is_reconciled_not_repeated() {
    let mut world = World::new(Repeat::AfterProof);
    world.run(&[Fate::CrashAfterDelivery], &[]);
    assert_eq!((world.journal.state, world.requests), (PartState::Sent, 1));
    let mut world = World::new(Repeat::AfterProof);
    world.run(&[Fate::CrashBefore], &[]);
    assert_eq!(
        (world.journal.state, world.requests, world.journal.attempt),
        (PartState::Sent, 1, 2)
    );
}

#[test]
fn three_attempts_then_a_person_looks() {
    let mut world = World::new(Repeat::AfterProof);
    world.run(&[Fate::LostBefore; 5], &[]);
    assert_eq!((world.journal.state, world.journal.attempt), (PartState::Unknown, 3));
}

#[test]
fn a_freeze_holds_sends_but_not_looks() {
    let mut world = World::new(Repeat::AfterProof);
    let later = world.now.plus(Duration::from_secs(60));
    assert_eq!(
        next_step(&world.journal, &ALLOWED, Some(later), &WAITS, world.now),
        Step::WaitUntil(later)
    );
    world.send(Fate::LostBefore);
    let looking = world.now.plus(Duration::from_secs(120));
    assert_eq!(
        next_step(&world.journal, &ALLOWED, Some(looking.plus(LEASE)), &WAITS, looking),
        Step::Look
    );
}

#[test]
fn an_outage_of_reads_is_waited_out_but_not_for_ever() {
    let mut world = World::new(Repeat::AfterProof);
    world.run(&[Fate::DeliveredThenLost], &[Read::Unanswered; 5]);
    let outage = world.now.since(world.journal.planned_at);
    assert_eq!((world.journal.state, world.requests), (PartState::Sent, 1));
    assert!(Duration::from_secs(180) < outage, "{outage:?}");

    let mut world = World::new(Repeat::AfterProof);
    world.run(&[Fate::DeliveredThenLost], &[Read::Unanswered; 100]);
    let outage = world.now.since(world.journal.planned_at);
    assert_eq!((world.journal.state, world.requests), (PartState::Unknown, 1));
    assert!((OUTAGE_MAX..2 * OUTAGE_MAX).contains(&outage), "{outage:?}");
}
