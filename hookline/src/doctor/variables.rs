//! The secrets: set, and usable.

use std::net::Ipv4Addr;

use runtime::config::Settings;
use runtime::guard::OutboundAllow;

use super::findings::Findings;

/// Where most clouds have their metadata service.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

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
    // A wrong value has stopped the verb before.
    let allow = OutboundAllow::from_settings(settings).unwrap_or_default();
    if allow.has(METADATA.into()) {
        findings.warning(
            "OUTBOUND_ALLOW",
            format!("outgoing webhooks may reach {METADATA}, where clouds give out credentials"),
            "name the hosts of receivers, or smaller networks",
        );
    }
}
