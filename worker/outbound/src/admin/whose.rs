//! ◆ Pure: accounts as operators name them.

use schemas::{AccountId, Channel};

/// Which account an operator means; without a channel, either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The channel.
    pub channel: Option<Channel>,
    /// The account.
    pub account: AccountId,
}
