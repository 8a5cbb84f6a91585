//! ◆ Pure: what the api asks the role `ops`, and what that answers. Both are of one release: a shape is changed, not versioned.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request, by the operator whose token the api has checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The name of the token: who looks, or acts.
    pub who: String,
    /// What they want.
    pub ask: Ask,
}

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// `hookline status`.
    Status {},
    /// `hookline trace`.
    Trace {
        /// Of an event, message, reply, command or parked row.
        id: String,
        /// Why what people wrote must be seen; without it, it is not shown.
        reveal: Option<String>,
    },
    /// The freezes in force.
    Freezes {},
    /// `hookline send freeze`.
    Freeze(Sending),
    /// `hookline send thaw`.
    Thaw(Sending),
    /// What `redrive` would do now.
    PlanRedrive {
        /// Try again, or give up.
        act: RedriveAct,
        /// Which parked work.
        wanted: WantedWork,
    },
    /// `hookline redrive`, as planned: a job of the role.
    Redrive {
        /// That of the plan.
        act: RedriveAct,
        /// The plan.
        plan_id: String,
        /// Why.
        reason: String,
    },
    /// `hookline jobs pause|resume|cancel`.
    Job {
        /// The job.
        id: String,
        /// What it is to do.
        wish: JobWish,
        /// Why.
        reason: String,
    },
}

/// What is done with parked work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveAct {
    /// Try again.
    Run,
    /// Give up for good.
    Discard,
}

impl RedriveAct {
    /// The verb.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Run => "redrive run",
            Self::Discard => "redrive discard",
        }
    }
}

/// What a job is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobWish {
    /// Stop for now.
    Pause,
    /// Go on.
    Resume,
    /// Give up; what is done stays done.
    Cancel,
}

/// Which parked work: all of it where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedWork {
    /// What failed by this cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// This lane of the normaliser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// What this stage parked: `normalize` or `projector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// These rows: `id` of the normaliser, `seq` of the projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<i64>>,
}

/// Which sending is stopped or goes on; all of it where nothing is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sending {
    /// As `ID` or `CHANNEL/ID`.
    pub account_id: Option<String>,
    /// By its id.
    pub conversation: Option<String>,
    /// Why.
    pub reason: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// What was asked for, as the verb prints it.
    Done {
        /// JSON.
        body: Value,
    },
    /// It was not done.
    Refused {
        /// What kind of reason.
        why: Why,
        /// What happened, and what to do.
        message: String,
    },
}

impl Answer {
    /// A refusal.
    pub fn refused(why: Why, message: impl Into<String>) -> Self {
        Self::Refused { why, message: message.into() }
    }
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Nobody knows what is named.
    NotFound,
    /// It cannot be understood as written; the message begins with the field and a colon.
    Invalid,
    /// The plan is too old, or what it counted has changed.
    PlanStale,
    /// It does not fit the state of things.
    NotNow,
    /// The answer is larger than the broker takes.
    TooLarge,
    /// Broker or Postgres do not answer: again later.
    Unavailable,
    /// The request is not vouched for, or of another release.
    NotUnderstood,
    /// A mistake of ours; the log of the role says more.
    Internal,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_another_release_asks_is_not_taken_for_something_else() {
        let asked = Asked {
            who: "ann".to_owned(),
            ask: Ask::Trace { id: "evt_1".to_owned(), reveal: None },
        };
        let text = serde_json::to_value(&asked).expect("it is JSON");
        let expected =
            json!({"who": "ann", "ask": {"what": "trace", "id": "evt_1", "reveal": null}});
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_value::<Asked>(text).expect("it is read"), asked);
        for other in [
            json!({"who": "ann", "ask": {"what": "erase"}}),
            json!({"who": "ann", "ask": {"what": "status", "since": 1}}),
            json!({"ask": {"what": "status"}}),
        ] {
            assert!(serde_json::from_value::<Asked>(other.clone()).is_err(), "{other}");
        }
    }
}
