//! What callers ask for, and what `status` is given.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A new endpoint.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where events are sent, by POST: https; http only where OUTBOUND_ALLOW names the host.
    pub url: String,
    /// Kinds of events, such as `message.received`; empty: all.
    pub kinds: Vec<String>,
    /// Ids of accounts; empty or absent: all.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Words for people.
    #[serde(default)]
    pub description: Option<String>,
}

/// What is to be changed; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointChange {
    /// Where events are sent.
    pub url: Option<String>,
    /// Kinds of events; empty: all.
    pub kinds: Option<Vec<String>>,
    /// Ids of accounts; empty: all.
    pub accounts: Option<Vec<String>>,
    /// Words for people; the empty text removes them.
    pub description: Option<String>,
    /// `true` stops deliveries, `false` resumes them, also after a 410.
    pub paused: Option<bool>,
}

/// An endpoint that does not get what it should.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub struct EndpointStatus {
    /// Its id.
    pub id: String,
    /// `paused`, `failing` or `disabled`.
    pub state: String,
    /// Events that wait to be tried again.
    pub held: i64,
    /// The class of the last error.
    pub last_error: Option<String>,
}
