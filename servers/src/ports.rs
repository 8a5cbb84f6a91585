//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

/// Below the range kernels hand out for outgoing connections (32768 up on Linux, 49152 up on macOS), so that no
/// client socket sits on a server's port while the server is being restarted.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// How many ports lie between the first ports that two processes with neighbouring ids try.
const STRIDE: u32 = 37;

/// How many ports this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// A port nobody listens on just now. Somebody may take it before the server does, so callers try again with another. Each process tries
/// ports in a row of its own, and none twice before it has tried all: processes that start servers at the same time do not choose the same.
///
/// # Errors
/// When none is found.
pub fn free() -> anyhow::Result<u16> {
    let count = u32::from(RANGE.end - RANGE.start);
    let first = std::process::id().wrapping_mul(STRIDE);
    (0..count)
        .map(|_| first.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % count)
        .filter_map(|offset| u16::try_from(offset).ok())
        .map(|offset| RANGE.start + offset)
        .find(|port| is_free(*port))
        .with_context(|| {
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

    #[test]
    fn no_port_is_given_out_twice() {
        let given: std::collections::BTreeSet<_> =
            (0..500).map(|_| free().expect("a port")).collect();
        assert_eq!(given.len(), 500);
    }
}
