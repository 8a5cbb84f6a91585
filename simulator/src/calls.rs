//! ◆ Pure: what was asked of Graph: a log of calls and counts over it.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::call_kind::CallKind;
use crate::faults::Fault;
use crate::model::Host;

/// One call as Meta saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// What was asked.
    pub kind: CallKind,
    /// On which host.
    pub host: Host,
    /// The account whose token was used; none when the token is unknown.
    pub account: Option<String>,
    /// The id the call was about: person, mid, comment.
    pub target: Option<String>,
    /// The answer's HTTP status; none when no answer was given.
    pub status: Option<u16>,
    /// Error code of the answer.
    pub code: Option<i64>,
    /// Error subcode of the answer.
    pub subcode: Option<i64>,
    /// The fault that was put in.
    pub fault: Option<Fault>,
    /// Mid or comment id that came into being, whether or not the answer says so.
    pub created: Option<String>,
}

/// How many calls are kept in full; counts go on beyond.
const CALLS_MAX: usize = 200_000;

/// The log.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Call>,
    counts: BTreeMap<(CallKind, Option<String>), u64>,
}

impl CallLog {
    /// Appends one call.
    pub(crate) fn push(&mut self, call: Call) {
        *self.counts.entry((call.kind, call.account.clone())).or_default() += 1;
        if CALLS_MAX <= self.calls.len() {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Calls of this kind and account; none means all.
    pub(crate) fn matching<'a>(
        &'a self,
        kind: Option<CallKind>,
        account: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| {
            kind.is_none_or(|wanted| wanted == call.kind)
                && account.is_none_or(|wanted| call.account.as_deref() == Some(wanted))
        })
    }

    /// How many calls of this kind and account there were; none means all.
    pub(crate) fn count(&self, kind: Option<CallKind>, account: Option<&str>) -> u64 {
        self.counts
            .iter()
            .filter(|((of_kind, of_account), _)| {
                kind.is_none_or(|wanted| wanted == *of_kind)
                    && account.is_none_or(|wanted| of_account.as_deref() == Some(wanted))
            })
            .map(|(_, count)| count)
            .sum()
    }

    /// Every count: kind, account, number.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (CallKind, Option<&str>, u64)> {
        self.counts.iter().map(|((kind, account), count)| (*kind, account.as_deref(), *count))
    }
}
