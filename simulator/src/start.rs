//! The start of a simulator: its port, its HTTP client, what its parts share.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::config::SimulatorConfig;
use crate::error::SimulatorError;
use crate::handle::SimulatorHandle;
use crate::server;
use crate::shared::Shared;

/// Starts simulators.
#[derive(Clone, Copy, Debug)]
pub struct Simulator;

impl Simulator {
    /// Listens, and is ready when this returns.
    ///
    /// # Errors
    /// When the policy is wrong, the port is taken, or the HTTP client cannot be built.
    pub async fn start(config: SimulatorConfig) -> Result<SimulatorHandle, SimulatorError> {
        config.policy.check()?;
        // Ring is the one provider of this workspace; an error only says that somebody was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SimulatorError::Client)?;
        let listening = async {
            let listener = TcpListener::bind(config.listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listening
            .await
            .map_err(|source| SimulatorError::Listen { address: config.listen, source })?;
        let shared = Arc::new(Shared::new(config, format!("http://{address}"), http));
        server::serve(&shared, listener);
        Ok(SimulatorHandle::new(shared, address))
    }
}
