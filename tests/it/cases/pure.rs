//! Every order of every case, and each body twice, without processes: normaliser, merge and fold as they are.

use projector::in_memory;
use schemas::raw::RawMeta;
use schemas::{Channel, Event, Timestamp};
use worker::facts::accounts::directory::{Account, Directory, Login};
use worker::facts::decide::decide_next;
use worker::facts::{Draft, Known};
use worker::inbound::normalize::normalize;

use super::right::{CASES, Outcome, latest};
use super::{IG, PAGE, bodies, timed};

const NOW: i64 = 1_795_000_000_000;

fn directory() -> Directory {
    let account = |channel, id: &str| Account {
        channel,
        id: id.into(),
        login: Login::Facebook,
        app: None,
        page_id: None,
        aliases: Vec::new(),
        handle: None,
        name: None,
        auto_reply: None,
        stopped: false,
    };
    Directory::new(1, vec![account(Channel::Instagram, IG), account(Channel::Messenger, PAGE)])
}

/// What these bodies end in, posted one after the other.
fn outcome(directory: &Directory, bodies: &[Vec<u8>]) -> Outcome {
    let mut known = Known::default();
    let mut events: Vec<Event> = Vec::new();
    for (body, sequence) in bodies.iter().zip(1..) {
        let meta = RawMeta {
            redacted: None,
            flaw: None,
            stream_sequence: sequence,
            received_at: Timestamp::from_millis(NOW),
            secret: None,
            path: Some("/webhook".to_owned()),
            traceparent: None,
        };
        let drafts: Vec<Draft> = normalize(body, &meta, directory).facts().cloned().collect();
        let decision = decide_next(drafts, &mut known);
        events.extend(decision.publish.into_iter().map(|planned| planned.draft.event));
    }
    let rows = in_memory::rows(events.clone()).unwrap();
    let mut outcome = Outcome { comments: rows.comments, ..Outcome::default() };
    for row in rows.messages {
        if row["counts_unread"] == true {
            let contact = row["contact_id"].as_str().unwrap().to_owned();
            *outcome.unread.entry(contact).or_default() += 1;
        }
        outcome.messages.push(row);
    }
    outcome.events = latest(events);
    outcome
}

/// All orders of `n` things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(n - 1) {
        for place in 0..n {
            let mut longer = order.clone();
            longer.insert(place, n - 1);
            all.push(longer);
        }
    }
    all
}

#[test]
fn every_case_is_right_in_every_order_and_doubled() {
    let directory = directory();
    for case in &CASES {
        let bodies: Vec<Vec<u8>> =
            bodies(case.name).iter().map(|body| timed(body, NOW, NOW)).collect();
        let orders = orders(bodies.len());
        let mut tried = 0;
        for (n, order) in orders.iter().enumerate() {
            let once: Vec<usize> = order.clone();
            let at_once = order.iter().flat_map(|at| [*at, *at]).collect();
            // Behind it the same once more, in another order.
            let again = order.iter().chain(&orders[orders.len() - 1 - n]).copied().collect();
            for posted in [once, at_once, again] {
                let all: Vec<Vec<u8>> = posted.iter().map(|at| bodies[*at].clone()).collect();
                let wrong = case.wrong(&outcome(&directory, &all));
                assert_eq!(wrong, None, "in the order {posted:?}");
                tried += 1;
            }
        }
        assert_eq!(tried, 3 * orders.len());
    }
}

#[test]
fn words_follow_each_edit() {
    let directory = directory();
    let bodies: Vec<Vec<u8>> = bodies("b25").iter().map(|body| timed(body, NOW, NOW)).collect();
    for (n, words) in (1..).zip(["red", "green", "red", "green", "red"]) {
        let outcome = outcome(&directory, &bodies[..n]);
        assert_eq!(outcome.comments[0]["text"], words, "after {n}");
    }
}
