//! Names become addresses, and those that may not be reached are left out: the addresses that were checked are those that are connected to,
//! whatever the name resolves to a moment later.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{OutboundAllow, forbidden};

/// A name resolves to nothing that may be reached. Its text names no address: whoever chose the URL may be shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host resolves to no address that may be reached")]
pub struct ForbiddenAddress;

/// A resolver for the connections of one scheme.
#[derive(Clone, Debug)]
pub struct GuardedResolver {
    allow: Arc<OutboundAllow>,
    /// Public addresses are left out, too: http is for what `OUTBOUND_ALLOW` names only.
    only_allowed: bool,
}

impl GuardedResolver {
    /// For https.
    pub fn https(allow: Arc<OutboundAllow>) -> Self {
        Self { allow, only_allowed: false }
    }

    /// For http.
    pub fn http(allow: Arc<OutboundAllow>) -> Self {
        Self { allow, only_allowed: true }
    }

    /// The addresses of a host that may be reached.
    fn reachable(&self, name: &str, found: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let named = self.allow.names(name);
        let may = |address: &SocketAddr| {
            named
                || self.allow.has(address.ip())
                || (!self.only_allowed && forbidden(address.ip()).is_none())
        };
        found.into_iter().filter(may).collect()
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?.collect();
            let reachable = resolver.reachable(host, found);
            if reachable.is_empty() {
                return Err(Box::from(ForbiddenAddress));
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_may_be_reached_are_left() {
        let found: Vec<SocketAddr> =
            ["93.184.216.34:0", "10.0.0.1:0", "[::1]:0"].map(|text| text.parse().unwrap()).into();
        let allow = |text: &str| Arc::new(OutboundAllow::parse(text).unwrap());
        let count =
            |resolver: GuardedResolver, name: &str| resolver.reachable(name, found.clone()).len();
        assert_eq!(count(GuardedResolver::https(allow("")), "a.example"), 1);
        assert_eq!(count(GuardedResolver::http(allow("")), "a.example"), 0);
        assert_eq!(count(GuardedResolver::https(allow("10.0.0.0/8")), "a.example"), 2);
        assert_eq!(count(GuardedResolver::http(allow("10.0.0.0/8")), "a.example"), 1);
        assert_eq!(count(GuardedResolver::http(allow("A.example")), "a.example."), 3);
        assert_eq!(count(GuardedResolver::http(allow("b.example")), "a.example"), 0);
    }
}
