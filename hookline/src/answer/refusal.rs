//! ◆ Pure: an error of a verb's function as the api is answered.

use ops::{Answer, Why};

use crate::exit::{Exit, code_of};

/// The error as a refusal. What only the log may show is a mistake of ours; it is logged by the caller.
pub(super) fn refusal(error: &anyhow::Error) -> Answer {
    match code_of(error) {
        Exit::Usage => Answer::refused(Why::Invalid, format!("{error:#}")),
        Exit::Refused => Answer::refused(Why::NotNow, format!("{error:#}")),
        Exit::Unreachable => Answer::refused(Why::Unavailable, format!("{error:#}")),
        Exit::Done | Exit::SomeFailed => {
            Answer::refused(Why::Internal, "the log of the role `ops` says more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Failure;

    #[test]
    fn each_exit_code_has_its_reason_and_a_mistake_shows_nothing() {
        let why = |error: anyhow::Error| match refusal(&error) {
            Answer::Refused { why, message } => (why, message),
            Answer::Done { .. } => panic!("it is an error"),
        };
        let said = |text: &str| text.to_owned();
        assert_eq!(why(Failure::usage("account_id: no")), (Why::Invalid, said("account_id: no")));
        assert_eq!(why(Failure::refused("ended")), (Why::NotNow, said("ended")));
        assert_eq!(why(Failure::unreachable("away")), (Why::Unavailable, said("away")));
        let (kind, text) = why(anyhow::anyhow!("a secret"));
        assert!(kind == Why::Internal && !text.contains("secret"), "{text}");
    }
}
