//! Jobs as tables and as JSON.

use ops::{Job, JobState};
use serde_json::{Value, json};

use super::command_line::command_line;
use super::state::state_in_words;
use crate::exit::Exit;
use crate::output::{Output, fields, say, table};

pub(crate) fn list(jobs: &[Job], output: Output) -> anyhow::Result<Exit> {
    if output == Output::Json {
        say(serde_json::to_string(jobs)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.id.clone(),
                state_in_words(job.state, job.held).to_owned(),
                position(&job.progress),
                job.started_by.clone(),
                job.updated_at.to_string(),
                job.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(&["id", "state", "position", "started by", "last change", "reason"], &rows);
    Ok(Exit::Done)
}

pub(crate) fn one(job: &Job, output: Output) -> anyhow::Result<Exit> {
    let unfinished = matches!(job.state, JobState::Running | JobState::Paused);
    let mut value = serde_json::to_value(job)?;
    value["command"] =
        if unfinished && !job.is_of_role() { json!(command_line(job)) } else { Value::Null };
    if output == Output::Json {
        say(value);
        return Ok(Exit::Done);
    }
    fields(&value);
    if unfinished && !job.held && job.is_of_role() {
        say("Nobody works on it: a process of the role `ops` takes it up unless it is paused.");
    } else if unfinished && !job.held {
        say("Nobody works on it: the command goes on where it stopped.");
    }
    Ok(Exit::Done)
}

/// How far a job is, in positions of its stream. `jobs show` prints the whole progress.
fn position(progress: &Value) -> String {
    let done = progress["next"].as_u64().map(|next| next.saturating_sub(1));
    let done = done.or_else(|| progress["position"].as_u64());
    let target = progress["target"].as_u64().or_else(|| progress["bounds"]["to"].as_u64());
    match (done, target) {
        (Some(done), Some(target)) => format!("{done} of {target}"),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_how_far_a_job_is() {
        let replay = json!({"next": 23, "bounds": {"from": 1, "to": 40}, "done": {"kinds": {}}});
        let rebuild = json!({"schema": "inbox_v2", "position": 7, "target": 9});
        assert_eq!(
            [replay, rebuild, json!({})].map(|progress| position(&progress)),
            ["22 of 40", "7 of 9", "-"]
        );
    }
}
