//! The plan and the result of a replay, for people.

use std::collections::BTreeMap;

use ops::{Job, JobState};
use serde_json::json;
use worker::inbound::replay::{ReplayPlan, Tally, Target};

use crate::output::{say, table};

pub(crate) fn plan(plan: &ReplayPlan) {
    match (plan.slice, plan.span) {
        (Some((from, to)), Some((first, last))) => {
            say(format!(
                "{} raw webhooks at {from}..{to}, received {first} to {last}",
                plan.tally.raw_webhooks
            ));
        }
        _ => say("No raw webhook in this slice."),
    }
    numbers(&plan.tally);
    say(format!(
        "Changes something for {} accounts, {} conversations. Expected: {} s.",
        plan.accounts, plan.conversations, plan.expected_seconds
    ));
    for sample in &plan.samples {
        let fields = if sample.fields.is_empty() {
            String::new()
        } else {
            format!(" in {}", sample.fields.join(", "))
        };
        let verdict = json!(sample.verdict);
        let raw = sample.raw_seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        say(format!(
            "  {} {} {} of raw webhook {raw}{fields}",
            verdict.as_str().unwrap_or_default(),
            sample.kind,
            sample.event_id
        ));
    }
}

fn numbers(tally: &Tally) {
    let rows: Vec<Vec<String>> = tally
        .kinds
        .iter()
        .map(|(kind, counts)| {
            let numbers =
                [counts.added, counts.changed, counts.withdrawn, counts.unchanged, counts.refused];
            std::iter::once(kind.clone()).chain(numbers.map(|number| number.to_string())).collect()
        })
        .collect();
    table(&["kind", "added", "changed", "withdrawn", "unchanged", "refused"], &rows);
    for (number, what) in [
        (tally.waiting, "sender-less items go to the waiting room"),
        (tally.held, "events stay behind parked work: `hookline redrive`, then replay again"),
        (tally.kept, "items of accounts that are not connected any more stay as they are"),
        (
            tally.left_to_live,
            "raw webhooks are left to the live normaliser, which has not come to them yet",
        ),
        (tally.not_withdrawn, "facts would be withdrawn by a slice that goes to the head"),
        (tally.unreadable, "raw webhooks cannot be read"),
        (tally.failed, "raw webhooks cannot be carried out"),
        (tally.again, "events went out again"),
    ] {
        if number > 0 {
            say(format!("{number} {what}"));
        }
    }
}

pub(crate) fn result(job: &Job, state: JobState, tally: &Tally, target: &Target) {
    let total = tally.total();
    match target {
        // Nothing is compared there: all of it goes out.
        Target::Subject(subject) => say(format!(
            "Job {} is {}: {} raw webhooks read, {} events published on {subject}.",
            job.id,
            state.as_str(),
            tally.raw_webhooks,
            tally.again
        )),
        Target::Events => say(format!(
            "Job {} is {}: {} added, {} changed, {} withdrawn, {} unchanged.",
            job.id,
            state.as_str(),
            total.added,
            total.changed,
            total.withdrawn,
            total.unchanged
        )),
    }
    if *target == Target::Events && tally.again > 0 {
        say(format!("{} events went out again.", tally.again));
    }
    if state == JobState::Paused {
        say("Run the same command again to continue it.");
    }
    if tally.is_incomplete() {
        numbers(&Tally { kinds: BTreeMap::new(), again: 0, ..tally.clone() });
    }
}
