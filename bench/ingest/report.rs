//! The table.

use std::fmt::Write;

use crate::candidate::Kind;
use crate::load::{Figures, Load, Pace};

/// One candidate under one load, round by round.
pub(crate) struct Course {
    pub(crate) kind: Kind,
    pub(crate) load: Load,
    pub(crate) rounds: Vec<Figures>,
}

/// Markdown: a line per load and candidate, medians with the lowest and the highest round, and the ratio to the plain handler of the same
/// round.
pub(crate) fn table(courses: &[Course]) -> String {
    let mut table = String::from(
        "| load | candidate | webhooks/s | p50 ms | p99 ms | ratio to plain | CPU ms per 1,000 | ratio | broker CPU ms per 1,000 | RSS MiB |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for course in courses {
        let plain = courses
            .iter()
            .find(|other| other.kind == Kind::Plain && other.load.name == course.load.name);
        let of = |figure: fn(&Figures) -> f64, digits| {
            spread(course.rounds.iter().map(figure).collect(), digits)
        };
        let ratio = |figure: fn(&Figures) -> f64| match plain {
            Some(plain) if course.kind != Kind::Plain => spread(
                course
                    .rounds
                    .iter()
                    .zip(&plain.rounds)
                    .map(|(ours, plain)| figure(ours) / figure(plain))
                    .collect(),
                2,
            ),
            _ => String::new(),
        };
        let p50 = |figures: &Figures| figures.latency.at(0.5).as_secs_f64() * 1e3;
        // Of a closed load throughput counts, of an open one how long it takes.
        let headline = match course.load.pace {
            Pace::Closed(_) => ratio(|figures| figures.per_second),
            Pace::Open(_) => ratio(p50),
        };
        writeln!(
            table,
            "| {} | {} | {} | {} | {} | {headline} | {} | {} | {} | {} |",
            course.load.name,
            course.kind.name(),
            of(|figures| figures.per_second, 0),
            of(p50, 2),
            of(|figures| figures.latency.at(0.99).as_secs_f64() * 1e3, 2),
            of(|figures| figures.process_cpu_ms, 1),
            ratio(|figures| figures.process_cpu_ms),
            of(|figures| figures.broker_cpu_ms, 1),
            of(|figures| figures.resident_mib, 0),
        )
        .unwrap();
    }
    table
}

/// The median, and the lowest and highest.
fn spread(mut figures: Vec<f64>, digits: usize) -> String {
    figures.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (figures.first(), figures.last()) else { return String::new() };
    format!("{:.digits$} ({low:.digits$}–{high:.digits$})", figures[figures.len() / 2])
}
