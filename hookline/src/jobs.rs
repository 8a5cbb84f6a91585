//! `hookline jobs` and `hookline audit`: what operators started, and what they did.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use runtime::config::Settings;
use runtime::ops::{Act, CLAIM, Claim, Job, JobState, Ops, Wish};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::How;
use crate::exit::{Exit, Failure, Output, fields, say, table};
use crate::{reach, who};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists jobs, newest first
    #[command(after_help = "Examples:\n  hookline jobs list\n  hookline jobs list --output json")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Shows one job, and the words that go on with it
    #[command(after_help = "Example:\n  hookline jobs show replay-0198…")]
    Show {
        /// Its id, from `jobs list`
        id: String,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Stops a job for now, within a second; what is done stays done
    #[command(after_help = "Example:\n  hookline jobs pause replay-0198… --reason 'too much load'")]
    Pause(One),
    /// Tells how to go on with a job that was paused or interrupted
    ///
    /// A job is worked on by the process of its verb: the same words, typed again, go on where it stopped. This prints them.
    #[command(after_help = "Example:\n  hookline jobs resume replay-0198…")]
    Resume(One),
    /// Gives a job up; what is done stays done
    #[command(after_help = "Example:\n  hookline jobs cancel replay-0198… --reason 'wrong span'")]
    Cancel(One),
    /// Sets how fast a job may go, from now on
    #[command(after_help = "Example:\n  hookline jobs rate replay-0198… 200 --reason 'night'")]
    Rate {
        /// Its id
        id: String,
        /// Items per second at most; `none` for no limit
        rate: String,
        /// The rest
        #[command(flatten)]
        how: How,
    },
}

/// One job and how.
#[derive(Debug, Args)]
pub struct One {
    /// Its id, from `jobs list`
    id: String,
    #[command(flatten)]
    how: How,
}

/// The record of acts.
#[derive(Debug, Args)]
pub struct Audit {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Carries it out.
///
/// # Errors
/// Exit code 2 for an id nobody knows, 3 for a job that has ended, 4 where Postgres does not answer.
pub async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Exit> {
    let ops = Ops::open(reach::postgres(settings).await?).await?;
    match verb {
        Verb::List { limit, output } => list(&ops.jobs(limit).await?, output),
        Verb::Show { id, output } => {
            let job = find(&ops, &id).await?;
            show(&job, output)
        }
        Verb::Pause(act) => wish(&ops, &act, Wish::Pause).await,
        Verb::Cancel(act) => wish(&ops, &act, Wish::Cancel).await,
        Verb::Resume(act) => {
            let job = unfinished(&ops, &act.id).await?;
            let words = words(&job);
            match act.how.output {
                Output::Json => say(json!({"id": job.id, "held": job.held, "command": words})),
                Output::Table if job.held => say(format!("Somebody works on {} now.", job.id)),
                Output::Table => say(format!("Type this to go on:\n  {words}")),
            }
            Ok(Exit::Done)
        }
        Verb::Rate { id, rate, how } => {
            let job = unfinished(&ops, &id).await?;
            let rate = match rate.as_str() {
                "none" => None,
                text => match text.parse::<f64>() {
                    Ok(rate) if rate.is_finite() && rate > 0.0 => Some(rate),
                    _ => return Err(Failure::usage("RATE: a number above 0, or `none`")),
                },
            };
            if !how.dry_run {
                if !ops.set_rate(&job.id, rate).await? {
                    return Err(ended(&job));
                }
                record(&ops, "jobs rate", &job, &how, json!({"rate": rate})).await?;
            }
            let will = if how.dry_run { "Would let" } else { "Lets" };
            let said = rate.map_or_else(
                || "as fast as it can".to_owned(),
                |rate| format!("at {rate}/s at most"),
            );
            done(&how, &job, json!({"rate": rate}), &format!("{will} {} go {said}.", job.id))
        }
    }
}

/// Prints the record of acts.
///
/// # Errors
/// Exit code 4 where Postgres does not answer.
pub async fn audit(audit: &Audit, settings: &Settings) -> anyhow::Result<Exit> {
    let ops = Ops::open(reach::postgres(settings).await?).await?;
    let acts = ops.acts(audit.limit).await?;
    if audit.output == Output::Json {
        say(serde_json::to_string(&acts)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = acts
        .into_iter()
        .map(|act| {
            vec![
                act.at.to_string(),
                act.who,
                act.verb,
                act.arguments.to_string(),
                act.reason.unwrap_or_default(),
                act.result.map(|result| result.to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["at", "who", "verb", "arguments", "reason", "result"], &rows);
    Ok(Exit::Done)
}

async fn find(ops: &Ops, id: &str) -> anyhow::Result<Job> {
    let unknown = || Failure::usage(format!("no job `{id}`: `hookline jobs list` shows them"));
    ops.job(id).await?.ok_or_else(unknown)
}

async fn unfinished(ops: &Ops, id: &str) -> anyhow::Result<Job> {
    let job = find(ops, id).await?;
    if matches!(job.state, JobState::Running | JobState::Paused) {
        Ok(job)
    } else {
        Err(ended(&job))
    }
}

fn ended(job: &Job) -> anyhow::Error {
    Failure::refused(format!("job {} has ended: {}", job.id, job.state.as_str()))
}

async fn wish(ops: &Ops, act: &One, wish: Wish) -> anyhow::Result<Exit> {
    let job = unfinished(ops, &act.id).await?;
    let (verb, word) = match wish {
        Wish::Pause => ("jobs pause", "pause"),
        Wish::Cancel => ("jobs cancel", "cancel"),
    };
    if !act.how.dry_run {
        if !ops.wish(&job.id, wish).await? {
            return Err(ended(&job));
        }
        record(ops, verb, &job, &act.how, json!({"held": job.held})).await?;
    }
    let text = match (act.how.dry_run, job.held) {
        (true, _) => format!("Would {word} {}.", job.id),
        (false, true) => format!("Told whoever works on {} to {word}; it takes a second.", job.id),
        (false, false) => format!("Nobody worked on {}; done: {word}.", job.id),
    };
    done(&act.how, &job, json!({"wish": word}), &text)
}

async fn record(ops: &Ops, verb: &str, job: &Job, how: &How, result: Value) -> anyhow::Result<()> {
    let act = Act {
        who: &who::operator(),
        verb,
        arguments: json!({"job": job.id}),
        reason: how.reason.as_deref(),
        job: Some(&job.id),
        result: Some(result),
    };
    Ok(ops.record(act).await?)
}

fn done(how: &How, job: &Job, what: Value, text: &str) -> anyhow::Result<Exit> {
    match how.output {
        Output::Json => {
            let mut value = json!({"id": job.id, "dry_run": how.dry_run});
            if let (Some(map), Some(more)) = (value.as_object_mut(), what.as_object()) {
                map.extend(more.clone());
            }
            say(value);
        }
        Output::Table => say(text),
    }
    Ok(Exit::Done)
}

/// The state with what the table of jobs cannot say: a running job nobody holds was interrupted.
fn state(job: &Job) -> String {
    match (job.state, job.held) {
        (JobState::Running, false) => "interrupted".to_owned(),
        (state, _) => state.as_str().to_owned(),
    }
}

/// The command line that goes on with the job: its verb and its arguments as options.
fn words(job: &Job) -> String {
    let mut words = format!("hookline {}", job.verb);
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
                Value::Bool(_) => words.push_str(&format!(" --{name}")),
                Value::String(text) => words.push_str(&format!(" --{name} {}", quoted(&text))),
                other => words.push_str(&format!(" --{name} {}", quoted(&other.to_string()))),
            }
        }
    }
    words
}

/// How far a job is, in positions of its stream; `jobs show` has all of it.
fn position(progress: &Value) -> String {
    let done = progress["next"].as_u64().map(|next| next.saturating_sub(1));
    let done = done.or_else(|| progress["position"].as_u64());
    let target = progress["target"].as_u64().or_else(|| progress["bounds"]["to"].as_u64());
    match (done, target) {
        (Some(done), Some(target)) => format!("{done} of {target}"),
        _ => "-".to_owned(),
    }
}

fn list(jobs: &[Job], output: Output) -> anyhow::Result<Exit> {
    if output == Output::Json {
        say(serde_json::to_string(jobs)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.id.clone(),
                state(job),
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

fn show(job: &Job, output: Output) -> anyhow::Result<Exit> {
    let unfinished = matches!(job.state, JobState::Running | JobState::Paused);
    let mut value = serde_json::to_value(job)?;
    value["command"] = if unfinished { json!(words(job)) } else { Value::Null };
    if output == Output::Json {
        say(value);
        return Ok(Exit::Done);
    }
    fields(&value);
    if unfinished && !job.held {
        say("Nobody works on it: the command goes on where it stopped.");
    }
    Ok(Exit::Done)
}

/// Takes a job to work on it. The claim of a process that died is waited for until it lapses, and that is said.
///
/// # Errors
/// Exit code 3 where another process works on it, or it has ended meanwhile.
pub(crate) async fn take(
    ops: &Ops,
    job: &Job,
    there: bool,
    stop: &CancellationToken,
) -> anyhow::Result<Claim> {
    if there {
        tell(&format!("Goes on with job {} of {}.", job.id, job.created_at));
    }
    let owner = format!("operator-{}-{:016x}", std::process::id(), rand::random::<u64>());
    let began = Instant::now();
    let mut said = false;
    loop {
        if let Some(claim) = ops.claim(&job.id, &owner).await? {
            return Ok(claim);
        }
        let now = ops.job(&job.id).await?;
        if !now.is_some_and(|job| matches!(job.state, JobState::Running | JobState::Paused)) {
            return Err(Failure::refused(format!("job {} has ended meanwhile", job.id)));
        }
        if began.elapsed() > CLAIM.get() * 3 / 2 || stop.is_cancelled() {
            return Err(Failure::refused(format!(
                "another process works on job {}: watch or stop that one",
                job.id
            )));
        }
        if !std::mem::replace(&mut said, true) {
            tell(&format!(
                "Job {} is held by another process; its claim lapses within {} s where that one died.",
                job.id,
                CLAIM.get().as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// On standard error: standard output is for results.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_job_can_be_typed_again() {
        let job = Job {
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
        };
        assert_eq!(
            words(&job),
            "hookline replay --all --since 2026-01-01T00:00:00Z --to 'two words'"
        );
        assert_eq!(state(&job), "interrupted");
    }

    #[test]
    fn a_list_tells_how_far_a_job_is() {
        let replay = json!({"next": 23, "bounds": {"from": 1, "to": 40}, "done": {"kinds": {}}});
        let rebuild = json!({"schema": "inbox_v2", "position": 7, "target": 9});
        assert_eq!(
            [replay, rebuild, json!({})].map(|progress| position(&progress)),
            ["22 of 40", "7 of 9", "-"]
        );
    }
}
