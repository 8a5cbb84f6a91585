//! ◆ Pure: the words of the ledger's columns. Each set has one mapping to text (`as_str`, `FromStr`), which the rows use too.

/// State of a command: `worker.commands.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandState {
    /// To be carried out: only these are claimed.
    Open,
    /// Meta took all its parts.
    Sent,
    /// No part was sent.
    Failed,
    /// Some parts were sent, the rest never will be.
    Partial,
    /// The outcome of a part is unknown: parked for a person.
    Unknown,
}

schemas::words! {
    CommandState, "state of a command":
    Open = "open", Sent = "sent", Failed = "failed", Partial = "partial", Unknown = "unknown",
}

impl CommandState {
    /// The state that follows from those of the parts; `None` while some are open.
    pub(crate) fn of_parts(parts: &[PartState]) -> Option<Self> {
        let any = |wanted: PartState| parts.contains(&wanted);
        if any(PartState::Unknown) {
            return Some(Self::Unknown);
        }
        if any(PartState::Failed) || any(PartState::Skipped) {
            return Some(if any(PartState::Sent) { Self::Partial } else { Self::Failed });
        }
        parts.iter().all(|state| *state == PartState::Sent).then_some(Self::Sent)
    }
}

/// State of a part: `worker.parts.state`. Which may follow which is checked by a trigger of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PartState {
    /// Not attempted.
    Planned,
    /// The request of the current attempt may leave or have left.
    Sending,
    /// Meta has it.
    Sent,
    /// Not executed, or proven absent: may be attempted again.
    Refused,
    /// It will not be sent.
    Failed,
    /// Whether Meta has it is unknown: parked for a person.
    Unknown,
    /// An earlier part failed.
    Skipped,
}

schemas::words! {
    PartState, "state of a part":
    Planned = "planned", Sending = "sending", Sent = "sent", Refused = "refused", Failed = "failed", Unknown = "unknown",
    Skipped = "skipped",
}

impl PartState {
    /// Nothing more will be done about it.
    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Unknown | Self::Skipped)
    }
}

/// Why an open command waits although nothing is in flight: `worker.commands.held`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Meta refused the account's token.
    AccountStopped,
    /// An operator froze sending.
    Frozen,
    /// A limit of Meta was met.
    Paused,
    /// A command before it in the lane is `unknown`.
    Parked,
    /// The worker's own budget of calls is used up.
    Budget,
    /// It is not to be sent before a time.
    Scheduled,
}

schemas::words! {
    Hold, "reason to wait":
    AccountStopped = "account_stopped", Frozen = "frozen", Paused = "paused", Parked = "parked", Budget = "budget",
    Scheduled = "scheduled",
}

/// Why a part counts as sent: `worker.parts.settled_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettledBy {
    /// Meta's answer to the request.
    Answer,
    /// Its echo.
    Echo,
    /// Reading back.
    Read,
    /// A person's word.
    Person,
    /// Its outcome, which INBOX_EVENTS had before this ledger.
    Log,
}

schemas::words! {
    SettledBy, "proof of a send": Answer = "answer", Echo = "echo", Read = "read", Person = "person", Log = "log",
}

/// What Meta reported: `worker.echoes.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EchoKind {
    /// A message of the account.
    Message,
    /// A comment of the account.
    Comment,
}

schemas::words! { EchoKind, "kind of an echo": Message = "message", Comment = "comment" }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_command_follows_from_its_parts() {
        use PartState::*;
        let check = |states: &[PartState], expected: Option<&str>| {
            let state = CommandState::of_parts(states).map(CommandState::as_str);
            assert_eq!(state, expected, "{states:?}");
        };
        check(&[Sent, Sent], Some("sent"));
        check(&[Sent, Planned], None);
        check(&[Sending], None);
        check(&[Refused], None);
        check(&[Failed, Skipped], Some("failed"));
        check(&[Sent, Failed, Skipped], Some("partial"));
        check(&[Sent, Unknown, Skipped], Some("unknown"));
        check(&[Sent, Skipped], Some("partial"));
        check(&[Unknown], Some("unknown"));
    }
}
