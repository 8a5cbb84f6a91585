//! ◆ Pure: where an event stands in which INBOX_EVENTS, as one number.

/// A position in INBOX_EVENTS with the number of its era. Written as one number: cursors of the api, `ETag`, and `based_on` of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the era, 0 unless a stream was ever adopted: positions begin again with each.
    pub era: u64,
    /// The position.
    pub position: u64,
}

impl Place {
    /// No stream has so many events. Nine eras fit into the 53 bits that some programs have for a number.
    const OF_ERA: u64 = 1_000_000_000_000_000;

    /// As an id: the bare position in the first era, and larger in each that follows.
    pub const fn to_id(self) -> u64 {
        self.era.saturating_mul(Self::OF_ERA).saturating_add(self.position)
    }

    /// What an id stands for.
    pub const fn of_id(id: u64) -> Self {
        Self { era: id / Self::OF_ERA, position: id % Self::OF_ERA }
    }
}
