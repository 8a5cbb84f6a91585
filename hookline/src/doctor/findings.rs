//! What `doctor` found.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Warning,
    Problem,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One check and its result.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: String,
    pub(crate) level: Level,
    pub(crate) finding: String,
    /// What to do about it; empty for `ok`.
    pub(crate) fix: String,
}

/// All of them, in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub Vec<Finding>);

impl Findings {
    pub(crate) fn ok(&mut self, check: &str, finding: impl Into<String>) {
        self.add(Level::Ok, check, finding, "");
    }

    pub(crate) fn warning(
        &mut self,
        check: &str,
        finding: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Level::Warning, check, finding, fix);
    }

    pub(crate) fn problem(
        &mut self,
        check: &str,
        finding: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Level::Problem, check, finding, fix);
    }

    pub(crate) fn has_problem(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Problem)
    }

    fn add(
        &mut self,
        level: Level,
        check: &str,
        finding: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Finding {
            check: check.to_owned(),
            level,
            finding: finding.into(),
            fix: fix.into(),
        });
    }
}
