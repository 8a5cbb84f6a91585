//! `hookline doctor`: is the set-up sound? Each finding comes with its fix.

mod broker;
mod database;
mod eras;
mod erasures;
mod findings;
mod graph;
mod rights;
mod variables;

use runtime::config::Settings;

use self::findings::Findings;
use crate::exit::Exit;
use crate::output::{Output, say, table};

/// Carries out `hookline doctor`. Exit code 4 where a server cannot be reached, 1 where something else is a problem.
///
/// # Errors
/// Exit code 2 for a variable that cannot be understood.
pub(crate) async fn run(settings: &Settings, output: Output) -> anyhow::Result<Exit> {
    let mut findings = Findings::default();
    let mut reached = true;
    reached &= broker::check(settings, &mut findings).await?;
    reached &= database::check(settings, &mut findings).await;
    eras::check(settings, &mut findings).await?;
    variables::check(settings, &mut findings);
    graph::check(settings, &mut findings).await?;
    match output {
        Output::Json => say(serde_json::to_string(&findings.0)?),
        Output::Table => {
            let rows: Vec<Vec<String>> = findings
                .0
                .iter()
                .map(|found| {
                    vec![
                        found.level.as_str().to_owned(),
                        found.check.clone(),
                        found.finding.clone(),
                        found.fix.clone(),
                    ]
                })
                .collect();
            table(&["level", "check", "finding", "fix"], &rows);
        }
    }
    Ok(match findings.has_problem() {
        _ if !reached => Exit::Unreachable,
        true => Exit::SomeFailed,
        false => Exit::Done,
    })
}
