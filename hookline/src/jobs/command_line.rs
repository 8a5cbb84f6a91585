//! ◆ Pure: the command line that continues a job.

use ops::Job;
use serde_json::Value;

/// The job's verb with its arguments as options: typed again, it continues the job.
pub(crate) fn command_line(job: &Job) -> String {
    let mut line = format!("hookline {}", job.verb);
    let quoted = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/=+".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    for (name, value) in job.arguments.as_object().into_iter().flatten() {
        let name = name.replace('_', "-");
        let values = match value {
            Value::Array(values) => values.clone(),
            Value::Null | Value::Bool(false) => continue,
            other => vec![other.clone()],
        };
        for value in values {
            match value {
                Value::Bool(_) => line.push_str(&format!(" --{name}")),
                Value::String(text) => line.push_str(&format!(" --{name} {}", quoted(&text))),
                other => line.push_str(&format!(" --{name} {}", quoted(&other.to_string()))),
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use ops::JobState;
    use serde_json::json;

    use super::*;

    fn job() -> Job {
        Job {
            id: "replay-1".to_owned(),
            verb: "replay".to_owned(),
            arguments: json!({"since": "2026-01-01T00:00:00Z", "all": true, "channel": null, "to": "two words", "dry_run": false}),
            reason: None,
            started_by: "ann".to_owned(),
            state: JobState::Running,
            held: false,
            rate: None,
            progress: json!({}),
            result: None,
            error: None,
            created_at: schemas::Timestamp::EPOCH,
            updated_at: schemas::Timestamp::EPOCH,
            finished_at: None,
        }
    }

    #[test]
    fn the_words_of_a_job_can_be_typed_again() {
        assert_eq!(
            command_line(&job()),
            "hookline replay --all --since 2026-01-01T00:00:00Z --to 'two words'"
        );
    }
}
