//! ◆ Pure: the early hint about the messaging window. The worker's verdict is final.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::command::Requester;
use schemas::window;

use crate::problem::Problem;

/// How long after the window a person may still answer, with `HUMAN_AGENT`.
const HUMAN_AGENT_MORE: Duration = window::HUMAN_AGENT_TAGGED.saturating_sub(window::STANDARD);

/// Whether a reply can still be sent.
///
/// # Errors
/// 403 `window_closed` with what would help, or `human_agent_person_only`.
pub(super) fn check(
    expires_at: Option<DateTime<Utc>>,
    tag: Option<&str>,
    by: Requester,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let human_agent = tag.is_some();
    if human_agent && by == Requester::Automation {
        return Err(Problem::human_agent_person_only());
    }
    let Some(expires_at) = expires_at else {
        return Err(Problem::window_closed(
            "the person has not written yet, so Meta takes no message to them: wait until they write".to_owned(),
        ));
    };
    let ends = if human_agent { expires_at + HUMAN_AGENT_MORE } else { expires_at };
    if now < ends {
        return Ok(());
    }
    let when = schemas::Timestamp::from(ends);
    Err(Problem::window_closed(
        if !human_agent && by == Requester::Person && now < expires_at + HUMAN_AGENT_MORE {
            format!(
                "the 24 hours after the person's last message ended at {when}: a person may still answer with \"tag\": \"HUMAN_AGENT\""
            )
        } else {
            format!("it ended at {when}: wait until the person writes again")
        },
    ))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn code(
        expires_in_hours: Option<i64>,
        tag: Option<&str>,
        by: Requester,
    ) -> Option<&'static str> {
        let now = DateTime::from_timestamp(1_795_000_200, 0).unwrap();
        let expires_at = expires_in_hours.map(|hours| now + TimeDelta::hours(hours));
        check(expires_at, tag, by, now).err().map(|problem| problem.code)
    }

    #[test]
    fn the_window_and_who_may_answer_after_it() {
        use Requester::{Automation, Person};
        let tag = Some("HUMAN_AGENT");
        assert_eq!(code(Some(1), None, Person), None);
        assert_eq!(code(Some(1), None, Automation), None);
        assert_eq!(code(Some(0), None, Person), Some("window_closed"));
        assert_eq!(code(None, None, Person), Some("window_closed"));
        assert_eq!(code(None, tag, Person), Some("window_closed"));
        assert_eq!(code(Some(-143), tag, Person), None);
        assert_eq!(code(Some(-144), tag, Person), Some("window_closed"));
        assert_eq!(code(Some(-1), tag, Automation), Some("human_agent_person_only"));
        assert_eq!(code(Some(1), tag, Automation), Some("human_agent_person_only"));
    }
}
