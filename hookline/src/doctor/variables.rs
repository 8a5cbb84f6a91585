//! The secrets: set, and usable.

use runtime::config::Settings;

use super::findings::Findings;

pub(crate) fn check(settings: &Settings, findings: &mut Findings) {
    for (name, needed_by) in [
        ("META_APP_SECRETS", "ingest"),
        ("META_VERIFY_TOKENS", "ingest"),
        ("ENCRYPTION_KEY", "worker, api, ops and accounts"),
        ("API_TOKENS", "api"),
    ] {
        if settings.get(name).is_some() {
            findings.ok(name, "set");
        } else {
            findings.warning(name, "not set here", format!("needed by {needed_by}"));
        }
    }
    if settings.get("ENCRYPTION_KEY").is_some()
        && let Err(error) = worker::config::seal(settings)
    {
        findings.problem(
            "ENCRYPTION_KEY",
            error.to_string(),
            "make one with `openssl rand -hex 32`",
        );
    }
}
