//! ◆ Pure: the state of a job as people and programs read it.

use ops::JobState;

/// The stored state; a running job that no process holds was `interrupted`.
pub(crate) const fn state_in_words(state: JobState, held: bool) -> &'static str {
    match (state, held) {
        (JobState::Running, false) => "interrupted",
        (state, _) => state.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_job_that_nobody_holds_is_interrupted() {
        assert_eq!(state_in_words(JobState::Running, false), "interrupted");
        assert_eq!(state_in_words(JobState::Running, true), "running");
        assert_eq!(state_in_words(JobState::Paused, false), "paused");
    }
}
