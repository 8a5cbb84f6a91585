//! ◆ Pure: which raw webhooks a replay reads, and whose events of them it gives.

use runtime::follow::Received;
use schemas::{AccountId, Channel, Timestamp};
use serde::{Deserialize, Serialize};

use facts::accounts::directory::{Account, Directory};

/// Which raw webhooks an operator asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Received at this time or later.
    pub since: Option<Timestamp>,
    /// Received before this time.
    pub until: Option<Timestamp>,
    /// First and last position.
    pub seq: Option<(u64, u64)>,
}

/// The slice of one job, fixed when it is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// First position.
    pub from: u64,
    /// Last position; below `from` where the slice is empty.
    pub to: u64,
    /// Received at this time or later, milliseconds.
    pub since: Option<i64>,
    /// Received before this time, milliseconds.
    pub until: Option<i64>,
    /// Whether nothing comes after the slice.
    pub to_head: bool,
    /// How far the live normaliser had come, by shard: what comes after is its work.
    pub passed: Vec<u64>,
    /// The number of the era of META_RAW that all these positions are of.
    #[serde(default)]
    pub era: i16,
}

/// The slice is of a META_RAW that is not the one of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "META_RAW was made anew or put back since this job was planned: cancel it (`hookline jobs cancel`) and plan again"
)]
pub struct OtherEra;

impl Bounds {
    /// Whether the live normaliser has taken this raw webhook.
    pub(super) fn passed_by_live(&self, raw: &Received) -> bool {
        let shard = raw.subject.rsplit('.').next().and_then(|shard| shard.parse::<usize>().ok());
        let passed = shard.and_then(|shard| self.passed.get(shard)).copied().unwrap_or(0);
        raw.sequence <= passed
    }

    /// Makes sure that the positions are of this era.
    pub(super) fn are_of(&self, era: i16) -> Result<(), OtherEra> {
        if self.era == era { Ok(()) } else { Err(OtherEra) }
    }

    pub(super) fn holds(&self, received: Timestamp) -> bool {
        let millis = received.as_millis();
        self.since.is_none_or(|since| since <= millis)
            && self.until.is_none_or(|until| millis < until)
    }

    /// How many positions it spans.
    pub const fn span(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }
}

/// Whose events; by default those of all accounts.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Of this channel.
    pub channel: Option<Channel>,
    /// Of this account, by its canonical id or another that Meta uses.
    pub account: Option<AccountId>,
}

impl Scope {
    pub(super) fn has(&self, directory: &Directory, channel: Channel, account: &AccountId) -> bool {
        if self.channel.is_some_and(|wanted| wanted != channel) {
            return false;
        }
        let Some(wanted) = &self.account else { return true };
        let own = directory.find(channel, wanted.as_str());
        wanted == account || own.is_some_and(|own: &Account| own.is_self(account.as_str()))
    }
}
