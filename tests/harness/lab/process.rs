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
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Worker, Self::Projector, Self::Api];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Projector => "projector",
            Self::Api => "api",
        }
    }

    pub(super) const fn listens_at(self) -> &'static str {
        match self {
            Self::Ingest => "INGEST_LISTEN",
            Self::Worker | Self::Projector => "ADMIN_LISTEN",
            Self::Api => "API_LISTEN",
        }
    }
}

pub(super) struct Running {
    pub(super) child: Child,
    pub(super) address: SocketAddr,
}
