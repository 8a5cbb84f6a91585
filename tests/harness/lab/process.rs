//! A process of hookline: what it does, and where it listens.

use std::net::SocketAddr;

use tokio::process::Child;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Ingest,
    Worker,
    Projector,
    Api,
    /// Not among those a message passes.
    Ops,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Worker, Self::Projector, Self::Api];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Projector => "projector",
            Self::Api => "api",
            Self::Ops => "ops",
        }
    }

    /// The variable of its door, where it has one.
    pub(super) const fn door(self) -> Option<&'static str> {
        match self {
            Self::Ingest => Some("INGEST_LISTEN"),
            Self::Worker | Self::Projector | Self::Ops => None,
            Self::Api => Some("API_LISTEN"),
        }
    }
}

/// Where a process listens.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    /// Its door; where it has none, as `admin`.
    pub(super) door: SocketAddr,
    /// `ADMIN_LISTEN`
    pub(super) admin: SocketAddr,
}

pub(super) struct Running {
    pub(super) child: Child,
    pub(super) ports: Ports,
}
