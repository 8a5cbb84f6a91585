//! ◆ Pure: what would become of a reply that was asked for now, before anybody asks for it.

use schemas::Timestamp;
use schemas::command::Requester;
use schemas::window::HUMAN_AGENT;

use crate::rules::judge;
use crate::situation::{Refusal, SendKind, Situation, Verdict};

/// What keeps a reply from being sent although the rules allow it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stops {
    /// The token of the account was destroyed.
    pub disconnected: bool,
    /// An operator froze sending, or the ledger is behind the log of attempts.
    pub frozen: bool,
    /// Meta refused the token of the account.
    pub stopped: bool,
    /// The outcome of an earlier reply is unknown.
    pub parked: bool,
    /// A limit of Meta was met.
    pub paused: bool,
}

/// What would become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What the rules say.
    pub verdict: Verdict,
    /// The tag it needs.
    pub tag: Option<&'static str>,
    /// Why it would wait, in the words of `worker.commands.held`.
    pub held: Option<&'static str>,
}

/// What would become of a reply in this situation. A person gets the tag named where only that helps.
pub fn advise(situation: &Situation<'_>, stops: Stops, now: Timestamp) -> Advice {
    if stops.disconnected {
        let verdict = Verdict::Refused(Refusal {
            code: "account_disconnected",
            class: "account",
            rule: "account.connected",
            message: "the account is disconnected: connect it again".to_owned(),
            until: None,
        });
        return Advice { verdict, tag: None, held: None };
    }
    let plain = judge(situation, now);
    let (verdict, tag) = match &plain {
        Verdict::Refused(refusal)
            if refusal.code == "window_closed" && situation.requester == Requester::Person =>
        {
            let kind = SendKind::Message { tag: Some(HUMAN_AGENT), automatic: false };
            match judge(&Situation { kind, ..*situation }, now) {
                allowed @ Verdict::Allowed { .. } => (allowed, Some(HUMAN_AGENT)),
                Verdict::Refused(_) => (plain, None),
            }
        }
        _ => (plain, None),
    };
    let held = match &verdict {
        Verdict::Refused(_) => None,
        Verdict::Allowed { .. } => held(stops, situation.requester),
    };
    Advice { verdict, tag, held }
}

fn held(stops: Stops, requester: Requester) -> Option<&'static str> {
    match stops {
        Stops { frozen: true, .. } => Some("frozen"),
        Stops { stopped: true, .. } => Some("account_stopped"),
        Stops { parked: true, .. } if requester == Requester::Automation => Some("parked"),
        Stops { paused: true, .. } => Some("paused"),
        _ => None,
    }
}
