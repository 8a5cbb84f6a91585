//! ◆ Pure: what a failed Graph call means, by the table of docs/meta-platform.md 9.

use std::fmt;
use std::time::Duration;

use facts::accounts::Refusal;
use schemas::meta::Node;
use serde_json::value::RawValue;

/// What is to be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// R: not executed; again later. Reads: whatever may be repeated.
    Retry,
    /// U: may have been executed; never repeated blindly. Sends only.
    Unknown,
    /// L: not executed; the scope pauses, then again.
    Limited(Scope),
    /// A: the account stops until somebody reconnects it.
    Account,
    /// P: a permission or a setting is missing; again only after somebody changed it.
    Permission,
    /// W: policy refuses this message.
    Window,
    /// X: this person (or object) cannot be reached.
    Recipient,
    /// D: done already.
    Done,
    /// V: the request is wrong; again is useless.
    Invalid,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All calls of the app.
    App,
    /// Calls for one account.
    Account,
}

/// Whether the request can have reached Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It cannot.
    BeforeWrite,
    /// It may have.
    AfterWrite,
}

/// What a call is for: a read may be repeated, a write may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// `GET`.
    Read,
    /// Everything else.
    Write,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Graph answered with an error.
    Answer,
    /// The budget keeps the call back; nothing was asked.
    Budget,
    /// No connection (DNS, TCP, TLS).
    Connect,
    /// No answer within the time allowed.
    Timeout,
    /// The connection broke after the request may have been written.
    Broken,
    /// The answer is larger than anything Graph says.
    TooLarge,
    /// The answer is not what was asked for.
    Unreadable,
}

/// A failed Graph call. Its text names numbers only: Meta's message is localised and may quote what a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct GraphError {
    /// What to do.
    pub class: Class,
    /// How it failed.
    pub failure: Failure,
    /// Meta's `code`.
    pub code: Option<i64>,
    /// Meta's `error_subcode`.
    pub subcode: Option<i64>,
    /// HTTP status.
    pub status: Option<u16>,
    /// For Meta's support; short-lived.
    pub fbtrace_id: Option<String>,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
    /// Whether the request can have reached Meta.
    pub stage: Stage,
}

impl Class {
    /// A word for metrics and outcomes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Unknown => "unknown",
            Self::Limited(Scope::App) => "limited_app",
            Self::Limited(Scope::Account) => "limited_account",
            Self::Account => "auth",
            Self::Permission => "permission",
            Self::Window => "window",
            Self::Recipient => "recipient",
            Self::Done => "done",
            Self::Invalid => "invalid",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Retry => "tried again later",
            Self::Unknown => "may have taken effect: to be reconciled",
            Self::Limited(_) => "rate limit: calls pause",
            Self::Account => "the account is refused: reconnect it with `hookline accounts add`",
            Self::Permission => "a permission or setting is missing: see `hookline accounts check`",
            Self::Window => "policy does not allow it now",
            Self::Recipient => "the person or object cannot be reached",
            Self::Done => "done already",
            Self::Invalid => "the request is not valid: repeating it is useless",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The member `error` of an answer. Each of its own members is read by itself: an odd one costs nothing but itself.
#[derive(Debug, Default)]
struct Reported {
    code: Option<i64>,
    subcode: Option<i64>,
    is_transient: bool,
    fbtrace_id: Option<String>,
}

impl Reported {
    /// What an answer reports; `None` where it has no error, or one that is `null` or `false`.
    fn read(body: &[u8]) -> Option<Self> {
        let answer: &RawValue = serde_json::from_slice(body).ok()?;
        let error = Node::parse(answer)?.raw("error")?;
        if error.get() == "false" {
            return None;
        }
        // Whatever else stands there, it says that something went wrong.
        let error = Node::parse(error).unwrap_or_default();
        Some(Self {
            code: error.integer("code"),
            subcode: error.integer("error_subcode"),
            is_transient: error.flag("is_transient"),
            fbtrace_id: error.text("fbtrace_id").filter(|id| !id.is_empty()),
        })
    }
}

impl GraphError {
    /// Reads an answer that is an error: any status but 2xx, or a body with `error`. `None` for a good one.
    pub fn of_answer(status: u16, body: &[u8], purpose: Use) -> Option<Self> {
        let reported = Reported::read(body);
        if reported.is_none() && (200..300).contains(&status) {
            return None;
        }
        let (code, subcode) =
            reported.as_ref().map_or((None, None), |error| (error.code, error.subcode));
        let transient = reported.as_ref().is_some_and(|error| error.is_transient);
        Some(Self {
            class: classify(code, subcode, transient, status, purpose),
            failure: Failure::Answer,
            code,
            subcode,
            status: Some(status),
            fbtrace_id: reported
                .and_then(|error| error.fbtrace_id)
                .map(|id| id.chars().take(64).collect()),
            retry_after: None,
            stage: Stage::AfterWrite,
        })
    }

    /// A call without a usable answer.
    pub fn without_answer(failure: Failure, purpose: Use) -> Self {
        let stage = match failure {
            Failure::Connect | Failure::Budget => Stage::BeforeWrite,
            _ => Stage::AfterWrite,
        };
        let class = match (stage, purpose) {
            (Stage::AfterWrite, Use::Write) => Class::Unknown,
            _ => Class::Retry,
        };
        let (code, subcode, status, fbtrace_id, retry_after) = (None, None, None, None, None);
        Self { class, failure, code, subcode, status, fbtrace_id, retry_after, stage }
    }

    /// A call the budget keeps back.
    pub fn kept_back(scope: Scope, wait: Duration) -> Self {
        let error = Self::without_answer(Failure::Budget, Use::Read);
        Self { class: Class::Limited(scope), retry_after: Some(wait), ..error }
    }

    /// A call that is not made because Meta has refused this token already, and how it did.
    pub(crate) fn refused_before(how: &Self) -> Self {
        let error = Self::without_answer(Failure::Budget, Use::Read);
        Self { class: Class::Account, code: how.code, subcode: how.subcode, ..error }
    }

    /// What `debug_token` reports of a token that is not valid.
    pub(crate) fn token_ended(code: Option<i64>, subcode: Option<i64>) -> Self {
        let error = Self::without_answer(Failure::Answer, Use::Read);
        Self { class: Class::Account, code: code.or(Some(190)), subcode, ..error }
    }

    /// An answer that is not what was asked for.
    pub(crate) fn unreadable() -> Self {
        Self::without_answer(Failure::Unreadable, Use::Read)
    }

    /// Whether the code or the sub-code is `number`: Meta places some numbers in either.
    pub fn names(&self, number: i64) -> bool {
        self.code == Some(number) || self.subcode == Some(number)
    }

    /// 9000001: the message was unsent, or is not among the newest 20 of its thread (docs/meta-platform.md 8.2).
    pub fn message_is_gone(&self) -> bool {
        self.names(9_000_001)
    }

    /// Code 1: the answer would have been too large. Asked for less, Graph returns it (docs/meta-platform-2.md 21.2, 22).
    pub fn wants_less(&self) -> bool {
        self.code == Some(1) && self.status.is_some_and(|status| status >= 500)
    }

    /// 190/458: the person removed the app. Their token is gone, and so are the webhook fields (docs/meta-platform-2.md 16.4).
    pub fn app_removed(&self) -> bool {
        self.code == Some(190) && self.subcode == Some(458)
    }

    /// What the account store is to do about a token that was refused like this.
    pub fn refusal(&self) -> Refusal {
        Refusal { reason: self.brief(), app_removed: self.app_removed() }
    }

    /// Whether Meta failed, not the request: another host may do better.
    pub fn is_server_failure(&self) -> bool {
        self.status.is_some_and(|status| status >= 500)
            || matches!(self.failure, Failure::Timeout | Failure::Broken | Failure::Connect)
    }

    fn describe(&self) -> String {
        format!("{}: {}", self.brief(), self.class.advice())
    }

    /// What happened, in numbers, without what to do about it.
    pub fn brief(&self) -> String {
        let what = match self.failure {
            Failure::Answer => "Graph refused".to_owned(),
            Failure::Budget if self.class == Class::Account => {
                "Meta refused this token a moment ago: not asked again".to_owned()
            }
            Failure::Budget => "the rate budget keeps the call back".to_owned(),
            Failure::Connect => "Graph cannot be reached".to_owned(),
            Failure::Timeout => "Graph did not answer in time".to_owned(),
            Failure::Broken => "the connection to Graph broke".to_owned(),
            Failure::TooLarge => "Graph's answer is too large".to_owned(),
            Failure::Unreadable => "Graph's answer cannot be read".to_owned(),
        };
        let mut numbers = Vec::new();
        if let Some(code) = self.code {
            numbers.push(format!("code {code}"));
        }
        if let Some(subcode) = self.subcode {
            numbers.push(format!("subcode {subcode}"));
        }
        if let Some(status) = self.status {
            numbers.push(format!("HTTP {status}"));
        }
        if let Some(trace) = &self.fbtrace_id {
            numbers.push(format!("fbtrace {trace}"));
        }
        if numbers.is_empty() { what } else { format!("{what} ({})", numbers.join(", ")) }
    }
}

/// By (code, subcode), then `is_transient`, then HTTP status. For reads, whatever may be repeated is [`Class::Retry`].
pub(crate) fn classify(
    code: Option<i64>,
    subcode: Option<i64>,
    transient: bool,
    status: u16,
    purpose: Use,
) -> Class {
    let class = code
        .and_then(|code| by_code(code, subcode))
        .or_else(|| transient.then_some(Class::Unknown))
        .unwrap_or(match status {
            429 => Class::Limited(Scope::Account),
            // A 2xx or 3xx that is no answer: it may have been done.
            ..400 | 500.. => Class::Unknown,
            _ => Class::Invalid,
        });
    match (class, purpose) {
        (Class::Unknown, Use::Read) => Class::Retry,
        _ => class,
    }
}

/// The table for sends; `None`: not in it.
fn by_code(code: i64, subcode: Option<i64>) -> Option<Class> {
    use Class::{Account, Done, Invalid, Limited, Permission, Recipient, Unknown, Window};
    let subcode = subcode.unwrap_or(0);
    Some(match (code, subcode) {
        (2, 2_018_344) => Permission,
        (-1, 2_534_023) => Done,
        (-2..=-1 | 1 | 2, _) => Unknown,
        (3, _) => Permission,
        (4, 2_018_354) => Window,
        (4, _) => Limited(Scope::App),
        (9, 2_018_352) => Window,
        (10, 2_018_278 | 2_534_022 | 2_018_065 | 1_404_170 | 1_893_015) => Window,
        (10, 2_018_108) => Recipient,
        (10, 1_893_063 | 2_534_077) => Account,
        (10, _) => Permission,
        (17 | 32, _) => Limited(Scope::Account),
        (80_001 | 80_002 | 80_006, _) => Limited(Scope::Account),
        // Of the Marketing API, which counts apart: not taken, and messages go on.
        (80_000 | 80_003..=80_005, _) => Class::Retry,
        (100, 33 | 2_018_001 | 2_534_014 | 2_018_218) => Recipient,
        (100, 2_534_013 | 2_018_247) => Permission,
        (100, 2_534_025 | 2_534_037) => Window,
        (100, 2_534_029 | 2_534_122) => Account,
        (100, _) => Invalid,
        (102 | 190, _) => Account,
        (200, 1_545_041) => Recipient,
        (200, 2_534_041) => Account,
        (200..=299, _) => Permission,
        (341, _) => Limited(Scope::App),
        (368, _) => Account,
        (506, _) => Done,
        (551, _) => Recipient,
        (613, 2_018_338 | 1_893_016) => Window,
        (613, _) => Limited(Scope::Account),
        (2_022, _) => Account,
        (10_900, _) => Done,
        (10_903, _) => Window,
        (36_103, _) => Permission,
        (1_609_005 | 9_000_001, _) => Invalid,
        (2_018_300 | 2_018_321, _) => Window,
        (2_018_218, _) => Recipient,
        (2_018_247, _) => Permission,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
