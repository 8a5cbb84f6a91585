//! ◆ Pure: which token of an account a disconnection is about.

use schemas::Timestamp;

/// Which token of an account a disconnection is about. Another one stays.
#[derive(Clone, Copy, Debug)]
pub enum Only<'a> {
    /// Whichever is stored.
    Any,
    /// This one, as it is stored.
    Stored(&'a [u8]),
    /// That of a connection made until then; a refreshed token belongs to the same connection.
    ConnectedBy(Timestamp),
}

impl<'a> Only<'a> {
    pub(super) const fn stored(self) -> Option<&'a [u8]> {
        match self {
            Self::Stored(token) => Some(token),
            Self::Any | Self::ConnectedBy(_) => None,
        }
    }

    pub(super) const fn connected_by(self) -> Option<Timestamp> {
        match self {
            Self::ConnectedBy(at) => Some(at),
            Self::Any | Self::Stored(_) => None,
        }
    }
}
