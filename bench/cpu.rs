//! CPU time of the processes of a lab, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tests::{Lab, Role};

/// Clock ticks in a second, as Linux shows them to every process.
const TICKS: u64 = 100;

/// Ticks of user and system time, by name of the process.
pub(crate) type Ticks = BTreeMap<&'static str, u64>;

/// What the processes of a lab have used so far; that of Postgres with all its children, also those that have ended.
pub(crate) fn of(lab: &mut Lab) -> Ticks {
    let mut ticks = Ticks::new();
    for role in Role::ALL {
        ticks.insert(role.name(), one(lab.pid(role, 0), false));
    }
    ticks.insert("nats", lab.nats.own().pid().map_or(0, |pid| one(pid, false)));
    ticks.insert("postgres", lab.postgres.own().pid().map_or(0, with_children));
    ticks
}

/// As text: milliseconds for each of `count`, by process.
pub(crate) fn each(from: &Ticks, to: &Ticks, count: usize) -> String {
    let of = |(name, ticks): (&&'static str, &u64)| {
        let used = ticks.saturating_sub(from.get(name).copied().unwrap_or(0));
        let used = Duration::from_millis(used * 1000 / TICKS).as_secs_f64() * 1000.0;
        #[allow(clippy::cast_precision_loss)] // a count of replies
        let each = used / count as f64;
        format!("{name} {each:.2} ms")
    };
    to.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The fields of a process behind its name, from the state on.
fn fields(pid: &str) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

fn one(pid: u32, ended_children: bool) -> u64 {
    let fields = fields(&pid.to_string()).unwrap_or_default();
    let at = |n: usize| fields.get(n).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    at(11) + at(12) + if ended_children { at(13) + at(14) } else { 0 }
}

fn with_children(parent: u32) -> u64 {
    let children = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let is_child = fields(&pid.to_string())?.get(1)?.parse() == Ok(parent);
        is_child.then(|| one(pid, false))
    });
    one(parent, true) + children.sum::<u64>()
}
