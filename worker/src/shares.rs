//! ◆ Pure: how much of a process's work is whose: so much at once, and no more than a share of it for one account, so that a slow answer
//! to one holds up no other.

use std::collections::BTreeMap;

use schemas::{AccountId, Channel};

/// Work under way, by account.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    under_way: BTreeMap<(Channel, AccountId), i64>,
    count: usize,
}

impl Shares {
    /// How many pieces are under way.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// A piece of an account's work begins.
    pub(crate) fn begin(&mut self, channel: Channel, account: &AccountId) {
        *self.under_way.entry((channel, account.clone())).or_default() += 1;
        self.count += 1;
    }

    /// A piece of an account's work has ended.
    pub(crate) fn end(&mut self, channel: Channel, account: &AccountId) {
        let key = (channel, account.clone());
        if let Some(under_way) = self.under_way.get_mut(&key) {
            *under_way -= 1;
            self.count -= 1;
            if *under_way == 0 {
                self.under_way.remove(&key);
            }
        }
    }

    /// Channels, accounts and counts as columns, for a statement that claims more.
    pub(crate) fn columns(&self) -> (Vec<&'static str>, Vec<&str>, Vec<i64>) {
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for ((channel, account), under_way) in &self.under_way {
            columns.0.push(channel.as_str());
            columns.1.push(account.as_str());
            columns.2.push(*under_way);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_ends() {
        let mut shares = Shares::default();
        let (one, other) = (AccountId::from("1"), AccountId::from("2"));
        for account in [&one, &one, &other] {
            shares.begin(Channel::Instagram, account);
        }
        assert_eq!(shares.columns(), (vec!["instagram"; 2], vec!["1", "2"], vec![2, 1]));
        shares.end(Channel::Instagram, &other);
        shares.end(Channel::Messenger, &one);
        assert_eq!((shares.count(), shares.columns().2), (2, vec![2]));
    }
}
