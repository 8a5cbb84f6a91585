//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;
use rand::RngExt;

/// Below the range kernels hand out for outgoing connections (32768 up on Linux, 49152 up on macOS), so that no
/// client socket sits on a server's port while the server is being restarted.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A port nobody listens on just now. Somebody may take it before the server does, so callers try again with another.
///
/// # Errors
/// When none is found.
pub fn free() -> anyhow::Result<u16> {
    let mut rng = rand::rng();
    (0..200).map(|_| rng.random_range(RANGE)).find(|port| is_free(*port)).with_context(|| {
        format!("no free TCP port found on 127.0.0.1 in {RANGE:?}: stop what holds them")
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_port_is_not_free() {
        let port = free().expect("a port");
        assert!(RANGE.contains(&port));
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("bind");
        assert!(!is_free(port));
        drop(held);
        assert!(is_free(port));
    }
}
