//! What a job is, and its row.

use std::str::FromStr;

use schemas::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Somebody works on it, or did until it was interrupted.
    Running,
    /// An operator stopped it for now.
    Paused,
    /// Finished.
    Done,
    /// Ended by an error that does not go away by itself.
    Failed,
    /// An operator gave it up; what was done stays done.
    Cancelled,
}

impl JobState {
    /// As `ops.jobs.state` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A word that is no [`JobState`] or no [`Wish`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not known to this version: use the one that wrote it")]
pub struct UnknownWord(String);

impl FromStr for JobState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "running" => Ok(Self::Running),
            "paused" => Ok(Self::Paused),
            "done" => Ok(Self::Done),
            "failed" => Ok(Self::Failed),
            "cancelled" => Ok(Self::Cancelled),
            other => Err(UnknownWord(other.to_owned())),
        }
    }
}

/// What an operator wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Stop for now.
    Pause,
    /// Give up; what is done stays done.
    Cancel,
}

impl Wish {
    /// As `ops.jobs.wish` has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Cancel => "cancel",
        }
    }

    /// Where a job goes that obeys.
    pub(crate) const fn leads_to(self) -> JobState {
        match self {
            Self::Pause => JobState::Paused,
            Self::Cancel => JobState::Cancelled,
        }
    }
}

impl FromStr for Wish {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "pause" => Ok(Self::Pause),
            "cancel" => Ok(Self::Cancel),
            other => Err(UnknownWord(other.to_owned())),
        }
    }
}

schemas::text_column!(JobState, Wish);

/// A row of `ops.jobs`.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct Job {
    /// Such as `replay-0198…`.
    pub id: String,
    /// The verb that works on it.
    pub verb: String,
    /// The verb's arguments.
    pub arguments: Value,
    /// Why it was started.
    pub reason: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// How far it is.
    pub state: JobState,
    /// Whether a process holds it now.
    pub held: bool,
    /// Items per second at most; absent: no limit.
    pub rate: Option<f64>,
    /// What is done.
    pub progress: Value,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When something last happened.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Job {
    /// Carried out by the role `ops`, which takes it up by itself: it was asked for by HTTP, from a plan. Others are carried out by the process
    /// of their verb.
    pub fn is_of_role(&self) -> bool {
        self.arguments["plan"].is_string()
    }
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// The verb.
    pub verb: &'a str,
    /// Its arguments: with the verb they are what makes two jobs the same.
    pub arguments: Value,
    /// Items per second at most.
    pub rate: Option<f64>,
    /// Why.
    pub reason: Option<&'a str>,
    /// Who.
    pub who: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        use JobState::*;
        for state in [Running, Paused, Done, Failed, Cancelled] {
            assert_eq!(state.as_str().parse::<JobState>().ok(), Some(state));
        }
        for wish in [Wish::Pause, Wish::Cancel] {
            assert_eq!(wish.as_str().parse::<Wish>().ok(), Some(wish));
        }
        let unknown = "resting".parse::<JobState>().err().map(|error| error.to_string());
        assert_eq!(
            unknown.as_deref(),
            Some("`resting` is not known to this version: use the one that wrote it")
        );
    }
}
