//! ◆ Pure: the work of a process by account, as columns for the statement that claims more: no account is to take all places.

use runtime::claim::UnderWay;
use schemas::{AccountId, Channel};

/// Work under way, by account.
pub(crate) type Shares = UnderWay<(Channel, AccountId)>;

/// Channels, accounts and counts.
pub(crate) fn columns(shares: &Shares) -> (Vec<&'static str>, Vec<&str>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for ((channel, account), under_way) in shares.by_owner() {
        columns.0.push(channel.as_str());
        columns.1.push(account.as_str());
        columns.2.push(under_way);
    }
    columns
}
