//! ◆ Pure: beginnings of addresses, by which networks are compared.

use core::net::{Ipv4Addr, Ipv6Addr};

/// The first `bits` of an address.
pub(super) fn v4_bits(address: Ipv4Addr, bits: u32) -> u32 {
    u32::from(address).checked_shr(32 - bits).unwrap_or(0)
}

/// The first `bits` of an address.
pub(super) fn v6_bits(address: Ipv6Addr, bits: u32) -> u128 {
    u128::from(address).checked_shr(128 - bits).unwrap_or(0)
}
