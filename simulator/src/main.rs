//! The simulated Meta as a process: `SIMULATOR_LISTEN`, `SIMULATOR_SEED`, `SIMULATOR_WEBHOOK_URL`, `META_APP_SECRETS`.

use simulator::{SimulatorConfig, Traffic};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let config = SimulatorConfig::from_variables(|name| std::env::var(name).ok())?;
    let traffic = config.webhook_url.is_some().then(Traffic::default);
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            // Without a handler for Ctrl-C the process ends by itself.
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    simulator::run(config, traffic, stop).await?;
    Ok(())
}
