//! ◆ Pure: which addresses may be reached on behalf of somebody who chose the URL: receivers of outgoing webhooks, and media. Public ones,
//! and those that `OUTBOUND_ALLOW` names. `resolver` holds connections against it.

mod allow;
mod bits;
mod resolver;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

pub use allow::OutboundAllow;
use bits::{v4_bits, v6_bits};
pub use resolver::{ForbiddenAddress, GuardedResolver};

/// IPv4 networks that nobody reaches over the internet, or that are none of a receiver: network, bits, what it is. By IANA's registry of
/// special-purpose addresses, with metadata services that stand elsewhere.
const FORBIDDEN_V4: [(Ipv4Addr, u32, &str); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared (carrier-grade NAT)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "metadata"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local or metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay of 6to4"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "reserved"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved or broadcast"),
];

/// Parts of 2000::/3, the public addresses of IPv6, that are none.
const FORBIDDEN_V6: [(Ipv6Addr, u32, &str); 5] = [
    // Teredo, benchmarking and other protocols: some carry an IPv4 address within.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "Teredo or reserved"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, "reserved"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);

/// Why nobody may be sent to this address; `None`: it is public.
pub fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => forbidden_v4(address),
        IpAddr::V6(address) => forbidden_v6(address),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    let is = |(network, bits, _): &&(Ipv4Addr, u32, &str)| {
        v4_bits(address, *bits) == v4_bits(*network, *bits)
    };
    FORBIDDEN_V4.iter().find(is).map(|(_, _, what)| *what)
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return forbidden_v4(mapped);
    }
    // Behind NAT64 every IPv4 receiver looks like this; what counts is the address within.
    if v6_bits(address, 96) == v6_bits(NAT64, 96) {
        let [.., a, b, c, d] = address.octets();
        return forbidden_v4(Ipv4Addr::new(a, b, c, d));
    }
    if v6_bits(address, 3) != v6_bits(GLOBAL, 3) {
        return Some("no public address of IPv6");
    }
    let is = |(network, bits, _): &&(Ipv6Addr, u32, &str)| {
        v6_bits(address, *bits) == v6_bits(*network, *bits)
    };
    FORBIDDEN_V6.iter().find(is).map(|(_, _, what)| *what)
}

/// Why nothing is sent to a URL, as far as the URL itself says: https is for public and allowed addresses, http for allowed ones only. What a
/// name resolves to is looked at when a connection is made.
///
/// # Errors
/// What is wrong, and what to do.
pub fn check_url(url: &Url, allow: &OutboundAllow) -> Result<(), String> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err("use an https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with user or password is not taken: deliveries are signed".to_owned());
    }
    if url.fragment().is_some() {
        return Err("leave out what stands behind `#`".to_owned());
    }
    let Some(host) = url.host() else { return Err("the URL has no host".to_owned()) };
    match host {
        Host::Ipv4(address) => check_literal(address.into(), url, allow)?,
        Host::Ipv6(address) => check_literal(address.into(), url, allow)?,
        Host::Domain(name) => {
            if url.scheme() == "http" && !allow.names(name) && !allow.has_networks() {
                return Err(
                    "http is for hosts and networks of OUTBOUND_ALLOW only: use https".to_owned()
                );
            }
        }
    }
    Ok(())
}

fn check_literal(address: IpAddr, url: &Url, allow: &OutboundAllow) -> Result<(), String> {
    if allow.has(address) {
        return Ok(());
    }
    if let Some(what) = forbidden(address) {
        return Err(format!(
            "the address is not public ({what}): name it in OUTBOUND_ALLOW where it is meant"
        ));
    }
    match url.scheme() {
        "https" => Ok(()),
        _ => Err("http is for hosts and networks of OUTBOUND_ALLOW only: use https".to_owned()),
    }
}

#[cfg(test)]
mod tests;
