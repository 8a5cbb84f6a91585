//! How clients connect, whatever they are for.

use std::time::Duration;

use async_nats::{ConnectOptions, jetstream};

/// A client that waits for its server, and comes back for ever.
pub(super) fn options(name: &str) -> ConnectOptions {
    ConnectOptions::new()
        .name(format!("hookline-{name}"))
        .retry_on_initial_connect()
        .max_reconnects(None)
        // Three unanswered ones end a connection: a forgotten one is replaced after some six seconds.
        .ping_interval(Duration::from_secs(2))
        .connection_timeout(Duration::from_secs(2))
        .reconnect_delay_callback(|attempts| {
            let (min, max) = (Duration::from_millis(50), Duration::from_secs(1));
            crate::retry::delay(min, max, u32::try_from(attempts).unwrap_or(31), 1.0)
        })
}

/// The JetStream context of a client.
pub(super) fn jetstream(client: async_nats::Client) -> jetstream::Context {
    jetstream::context::ContextBuilder::new()
        .timeout(Duration::from_secs(5))
        .backpressure_on_inflight(true)
        .build(client)
}
