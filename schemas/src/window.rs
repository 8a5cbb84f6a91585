//! ◆ Pure: how long after a person's last message the account may answer (docs/meta-platform.md 11).

use std::time::Duration;

/// After a message or postback of the person: anything may be sent.
pub const STANDARD: Duration = Duration::from_secs(24 * 3600);
/// With the tag [`HUMAN_AGENT`], by a person.
pub const HUMAN_AGENT_TAGGED: Duration = Duration::from_secs(7 * 24 * 3600);
/// The only message tag that Meta has not retired.
pub const HUMAN_AGENT: &str = "HUMAN_AGENT";
