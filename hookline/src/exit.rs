//! Exit codes (docs/contract.md 9), and the errors that know theirs.

use std::io::Write;
use std::process::ExitCode;

use runtime::config::ConfigError;

/// How a verb ended; the exit codes are 0 to 4 in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Some items failed, or the database refused.
    SomeFailed,
    /// An argument or a variable is wrong.
    Usage,
    /// Refused for safety.
    Refused,
    /// A dependency cannot be reached, or nobody said where it is.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Unreachable => 4,
        })
    }
}

/// An error whose exit code is known.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What went wrong and what to do.
    pub(crate) message: String,
}

impl Failure {
    /// Exit code 2: an argument or a variable is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Usage, message: message.into() }.into()
    }

    /// Exit code 4: a dependency cannot be reached.
    pub(crate) fn unreachable(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Unreachable, message: message.into() }.into()
    }

    /// Exit code 3: refused for safety.
    pub(crate) fn refused(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Refused, message: message.into() }.into()
    }
}

/// Prints the error in one line on standard error and returns the exit code of its kind.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "hookline: {error:#}");
    code_of(error).into()
}

/// The exit code of an error, by what it was caused by.
pub(crate) fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.exit;
        }
        if let Some(error) = cause.downcast_ref::<ConfigError>() {
            return match error {
                ConfigError::Missing { name, .. } if name.ends_with("_URL") => Exit::Unreachable,
                _ => Exit::Usage,
            };
        }
        if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
            return match error {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) => {
                    Exit::Unreachable
                }
                _ => Exit::SomeFailed,
            };
        }
    }
    Exit::SomeFailed
}
