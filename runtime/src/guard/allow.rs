//! ◆ Pure: `OUTBOUND_ALLOW`: hosts and networks that may be reached although they are private.

use core::net::IpAddr;

use url::Host;

use super::bits::{v4_bits, v6_bits};
use crate::config::{ConfigError, Settings};

/// What an operator allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundAllow {
    hosts: Vec<String>,
    /// With their number of bits.
    networks: Vec<(IpAddr, u32)>,
}

impl OutboundAllow {
    /// Reads `OUTBOUND_ALLOW`.
    ///
    /// # Errors
    /// Says which entry is wrong, by its number.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.parsed("OUTBOUND_ALLOW", "", Self::parse)
    }

    /// Reads `host|address|network/bits,…`. The empty text allows nothing.
    ///
    /// # Errors
    /// Says which entry is wrong, by its number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut allow = Self::default();
        if text.trim().is_empty() {
            return Ok(allow);
        }
        for (n, entry) in text.split(',').map(str::trim).enumerate() {
            let form = || {
                format!(
                    "entry {}: use a host, an address or a network such as receiver.internal, 10.1.2.3 or 10.0.0.0/8",
                    n + 1
                )
            };
            if let Some((address, bits)) = entry.split_once('/') {
                let address: IpAddr = address.parse().map_err(|_| form())?;
                let bits: u32 = bits.parse().map_err(|_| form())?;
                if bits > if address.is_ipv4() { 32 } else { 128 } {
                    return Err(form());
                }
                allow.networks.push((address, bits));
                continue;
            }
            let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            if let Ok(address) = bare.unwrap_or(entry).parse::<IpAddr>() {
                allow.networks.push((address, if address.is_ipv4() { 32 } else { 128 }));
                continue;
            }
            match Host::parse(entry) {
                // A number such as `10` is an address in the eyes of URLs; nobody means it.
                Ok(Host::Domain(name)) if !name.is_empty() && !name.contains(':') => {
                    allow.hosts.push(name);
                }
                _ => return Err(form()),
            }
        }
        Ok(allow)
    }

    /// Whether a network or address of it holds this one. An IPv4 address within an IPv6 one counts as it is.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                v4_bits(address, *bits) == v4_bits(*network, *bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                v6_bits(address, *bits) == v6_bits(*network, *bits)
            }
            _ => false,
        })
    }

    /// Whether it names this host by its name.
    pub(super) fn names(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.hosts.iter().any(|host| host.trim_end_matches('.').eq_ignore_ascii_case(name))
    }

    /// Whether it names any network or address.
    pub(super) fn has_networks(&self) -> bool {
        !self.networks.is_empty()
    }
}
