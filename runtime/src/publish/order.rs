//! ◆ Pure: which messages go out together, and which must wait for the ack of an earlier one.

use std::collections::HashSet;

use super::message::{BATCH_BYTES_MAX, BATCH_FROM, BATCH_MAX, Outgoing};

/// What decides the order of a message: its subject without the last token. Of events and commands that is partition, channel and account,
/// so messages of one conversation have the same.
fn lane(message: &Outgoing) -> &str {
    message.subject.rsplit_once('.').map_or(&*message.subject, |(lane, _)| lane)
}

/// Cuts messages into runs, in order: no lane twice in one run. Of a run that fails in part, whatever was stored and whatever was not, a
/// repeat changes the order of no lane.
pub(super) fn runs(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut runs: Vec<Vec<Outgoing>> = Vec::new();
    for message in messages {
        match runs.last_mut() {
            Some(run) if run.iter().all(|other| lane(other) != lane(&message)) => run.push(message),
            _ => runs.push(vec![message]),
        }
    }
    runs
}

/// Whether messages whose order counts go out in runs ([`runs`]) sooner than as one atomic batch. `syncs`: each message on its own costs
/// the broker a sync.
pub(super) fn runs_are_quicker(messages: &[Outgoing], syncs: bool) -> bool {
    if messages.len() < BATCH_FROM {
        return true;
    }
    // Each run costs a way there and back, which is little beside a batch, but not nothing.
    let mut lanes = HashSet::new();
    let mut count = 1;
    for message in messages {
        if !lanes.insert(lane(message)) {
            count += 1;
            lanes.clear();
            lanes.insert(lane(message));
        }
    }
    !syncs && count < BATCH_FROM
}

/// Cuts messages into batches of at most [`BATCH_MAX`] and [`BATCH_BYTES_MAX`], in order; no id twice in one batch.
pub(super) fn batches(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    let mut ids = HashSet::new();
    for message in messages {
        let size = message.payload.len() + message.subject.len() + 512;
        let full = batches.last().is_none_or(|batch| {
            batch.len() >= BATCH_MAX || bytes + size > BATCH_BYTES_MAX || ids.contains(&message.id)
        });
        if full {
            batches.push(Vec::new());
            bytes = 0;
            ids.clear();
        }
        bytes += size;
        ids.insert(message.id.clone());
        if let Some(batch) = batches.last_mut() {
            batch.push(message);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::HeaderMap;

    fn message(id: &str, bytes: usize) -> Outgoing {
        on("a", id, bytes)
    }

    fn on(subject: &str, id: &str, bytes: usize) -> Outgoing {
        Outgoing {
            subject: subject.into(),
            id: id.into(),
            headers: HeaderMap::new(),
            payload: vec![0; bytes].into(),
        }
    }

    fn ids(runs: &[Vec<Outgoing>]) -> Vec<Vec<&str>> {
        runs.iter().map(|run| run.iter().map(|message| &*message.id).collect()).collect()
    }

    #[test]
    fn batches_keep_order_and_limits() {
        let many: Vec<_> = (0..1_201).map(|n| message(&n.to_string(), 1)).collect();
        let cut = batches(many);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 201]);
        assert_eq!(cut[1][0].id, "500");
        let large = batches(vec![message("a", 9 << 20), message("b", 9 << 20), message("c", 1)]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        let twice = batches(vec![message("a", 1), message("a", 1), message("b", 1)]);
        assert_eq!(twice.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert!(batches(Vec::new()).is_empty());
    }

    #[test]
    fn a_run_holds_each_lane_once() {
        let events = [
            ("7.a.received", "1"),
            ("7.a.read", "2"),
            ("8.a.received", "3"),
            ("7.b.read", "4"),
            ("8.a.read", "5"),
        ];
        let events = events.map(|(subject, id)| on(subject, id, 1)).to_vec();
        let cut = runs(events);
        assert_eq!(ids(&cut), [vec!["1"], vec!["2", "3", "4"], vec!["5"]]);
        assert!(runs(Vec::new()).is_empty());
    }

    #[test]
    fn few_go_in_runs_and_many_where_it_costs_no_sync() {
        let events = |count: usize, lanes: usize| -> Vec<_> {
            (0..count).map(|n| on(&format!("{}.a", n % lanes), &n.to_string(), 1)).collect()
        };
        for syncs in [true, false] {
            assert!(runs_are_quicker(&events(BATCH_FROM - 1, 1), syncs));
            assert!(!runs_are_quicker(&events(BATCH_FROM, 1), syncs), "a run for each");
        }
        assert!(!runs_are_quicker(&events(BATCH_FROM, BATCH_FROM), true));
        assert!(runs_are_quicker(&events(10 * BATCH_FROM, 20), false));
    }

    #[test]
    fn runs_keep_order_and_lose_nothing() {
        // All texts of six lanes out of three.
        for number in 0..3_u32.pow(6) {
            let lanes = (0..6_u32).map(|place| number / 3_u32.pow(place) % 3);
            let sent: Vec<_> = lanes
                .enumerate()
                .map(|(n, lane)| on(&format!("{lane}.x"), &n.to_string(), 1))
                .collect();
            let cut = runs(sent.clone());
            let flat: Vec<_> = cut.iter().flatten().map(|message| &message.id).collect();
            assert_eq!(flat, sent.iter().map(|message| &message.id).collect::<Vec<_>>());
            for run in &cut {
                let lanes: HashSet<_> = run.iter().map(lane).collect();
                assert_eq!(lanes.len(), run.len());
            }
        }
    }
}
